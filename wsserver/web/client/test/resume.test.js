// Where a client goes on, and what it is told when it cannot.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admin, after, assign, live, open, remembering, sql, teacher, told, until } from './helper.js';

test('a tab that comes back goes on where it was, from its storage', async (t) => {
  const storage = remembering();
  const first = open(t, { storage });
  await live(first);
  const seen = await assign(2);
  await told(first, seen);
  first.close();
  assert.ok(![...storage.kept].join().includes(teacher.Token), 'the token is not kept');
  const missed = await assign(2);
  const second = open(t, { storage });
  await told(second, missed);
  await live(second);
  assert.deepEqual(second.told, missed);
  assert.deepEqual(second.welcomes.map((w) => w.resumed), [true]);
  const third = open(t, { since: first.cursor, storage }); // what was said counts before what was kept
  await told(third, missed);
  assert.deepEqual(third.told, missed);
});

test('somebody else in the same tab does not go on where the one before was', async (t) => {
  const storage = remembering();
  const first = open(t, { storage });
  await live(first);
  first.close();
  await assign(2, admin);
  const second = open(t, { storage, token: admin.Token });
  await until(second, 'the admin is welcome', () => second.welcomes.length > 0);
  assert.deepEqual(second.welcomes.map((w) => [w.user_id, w.resumed]), [[admin.ID, undefined]]);
  const [title] = await assign(1, admin);
  await told(second, [title]);
  assert.deepEqual(second.told, [title]);
});

test('while it catches up it says so, and how far behind it is', async (t) => {
  const first = open(t);
  await live(first);
  const since = first.cursor;
  const titles = await assign(300);
  await told(first, titles); // the gateway has them
  const bell = open(t, { since });
  await told(bell, titles);
  await live(bell);
  assert.deepEqual(bell.told, titles);
  assert.deepEqual([...new Set(bell.states.map((s) => s.state))], ['connecting', 'catching-up', 'live']);
});

test('a gap of a bulk says what to fetch, and that is everything that is missing', async (t) => {
  const bell = open(t);
  await live(bell);
  const titles = await assign(1400);
  const [next] = await assign(1);
  await until(bell, 'what came after the bulk', () => bell.told.at(-1) === next);
  assert.equal(bell.gaps.length, 1);
  const [gap] = bell.gaps;
  assert.equal(gap.reason, 'bulk');
  assert.equal(gap.count, titles.length - (bell.told.length - 1));
  assert.deepEqual(gap.refetch, { since: gap.from, to: gap.to });
  const fetched = [];
  for (let range = gap.refetch, more = true; more;) {
    const page = await bell.history({ ...range, limit: 150 });
    fetched.push(...page.events.map((m) => m.title));
    range = { ...range, since: page.cursor };
    more = page.more;
  }
  assert.equal(fetched.length, gap.count);
  assert.deepEqual([...bell.told.slice(0, -1), ...fetched], titles);
});

test('a gap of what nobody has any more says that there is nothing to fetch', async (t) => {
  const since = 'FFFFFFFF/0.7'; // as of a server that was set back
  const bell = open(t, { since });
  await live(bell);
  assert.deepEqual(bell.gaps.map((g) => [g.reason, g.from, g.refetch]), [['history_lost', since, null]]);
  assert.ok(after(since, bell.cursor), 'the position is the server\'s');
  const [title] = await assign();
  await told(bell, [title]);
  assert.deepEqual(bell.told, [title]);
});

test('a custom message of any type is told, and cannot pretend to be a state', async (t) => {
  const bell = open(t);
  await live(bell);
  const all = [];
  bell.addEventListener('event', ({ detail }) => all.push(detail));
  const states = bell.states.length;
  for (const type of ['state', 'event', 'exam_moved']) {
    await sql(`SELECT pg_logical_emit_message(true, 'schoolbell', '{"user": ${teacher.ID}, "type": "${type}", "data": {"room": "B 12"}}')::text`);
  }
  await until(bell, 'the last message', () => all.at(-1)?.type === 'exam_moved');
  assert.deepEqual(all.map((m) => m.type), ['state', 'event', 'exam_moved']);
  assert.equal(all[0].room, 'B 12');
  assert.equal(bell.states.length, states);
});
