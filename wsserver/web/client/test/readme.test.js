// The examples of the two READMEs, as they stand there.

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { assign, connect, site, sql, teacher } from './helper.js';

for (const readme of ['../README.md', '../../../../README.md']) {
  test(`the example of ${readme} works`, async (t) => {
    const text = await readFile(new URL(readme, import.meta.url), 'utf8');
    const [, example] = /```js\n(import \{ connect \} from 'https:[^`]*(?:`[^`]+`[^`]*)*?)```/.exec(text);
    assert.ok(example.trim().split('\n').length <= 10);
    const shown = new Promise((resolve) => { globalThis.show = resolve; });
    const counted = new Promise((resolve) => { globalThis.showCounts = resolve; });
    const lived = new Promise((resolve) => { globalThis.showState = (state) => { if (state === 'live') resolve(); }; });
    globalThis.connectHere = (options) => {
      const bell = connect({ url: site.gateway, ...options });
      t.after(() => bell.close());
      return bell;
    };
    const real = globalThis.fetch;
    t.mock.method(globalThis, 'fetch', (address, options) => (
      address === '/bell-token' ? Promise.resolve(new Response(teacher.Token)) : real(address, options)));
    const folder = await mkdtemp(join(tmpdir(), 'schoolbell-'));
    t.after(() => rm(folder, { recursive: true }));
    await writeFile(join(folder, 'example.mjs'), example.replace(/^import .*$/m, 'const connect = connectHere;'));
    await import(join(folder, 'example.mjs'));
    await lived;
    const [title] = await assign();
    const [student] = site.students;
    await sql(`INSERT INTO assignments_assignmentsubmission (assignment_id, student_id, content, status, submitted_at, feedback, updated_at)
      SELECT id, ${student.ID}, '', 'submitted', now(), '', now() FROM assignments_assignment WHERE title = '${title}'`);
    assert.equal(await shown, `${student.FirstName} handed in ${title}`);
    assert.equal((await counted).type, 'metrics');
  });
}
