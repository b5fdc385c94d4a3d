// Tokens that end: replaced in time, replaced late, taken away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assign, jwt, live, open, site, sql, state, teacher, told, until } from './helper.js';

const [, other] = site.teachers;

test('a token is replaced before it expires, and the connection stays', async (t) => {
  let given = 0;
  const bell = open(t, { getToken: () => { given++; return jwt(teacher, 3); } });
  const renewed = new Promise((resolve) => { bell.addEventListener('metrics', () => given > 3 && resolve()); });
  await live(bell);
  const began = Date.now();
  await renewed;
  assert.ok(Date.now() - began > 3000, 'the first token has ended');
  const [title] = await assign();
  await told(bell, [title]);
  assert.deepEqual(bell.states.map((s) => s.state), ['connecting', 'live']);
  assert.equal(bell.welcomes.length, 1);
});

test('a token that has expired is replaced, and nothing is missed', async (t) => {
  const old = await jwt(teacher, 2);
  let late;
  const bell = open(t, { token: old, getToken: () => (late ? jwt(teacher, 60) : Promise.reject(new Error('not now'))) });
  await live(bell);
  await state(bell, 'reconnecting');
  assert.equal(bell.states.at(-1).reason, 'credentials_revoked');
  const titles = await assign(2);
  late = true;
  bell.retry();
  await told(bell, titles);
  assert.deepEqual(bell.told, titles);
});

test('a token that was taken away signs out', async (t) => {
  const bell = open(t, { token: other.Token });
  await live(bell);
  await sql(`DELETE FROM authtoken_token WHERE user_id = ${other.ID}`);
  await state(bell, 'signed-out');
  assert.equal(bell.states.at(-1).reason, 'credentials_revoked');
});

test('without a fresh token the person has to sign in', async (t) => {
  const bells = [open(t, { getToken: () => null }), open(t, { token: 'wrong', getToken: () => 'wrong too' })];
  for (const bell of bells) await state(bell, 'signed-out');
  assert.equal(bells[0].states.at(-1).reason, 'unauthenticated');
  assert.equal(bells[1].welcomes.length, 0);
});

test('a token that cannot be had now is asked for again', async (t) => {
  let asked = 0;
  const bell = open(t, { getToken: () => { if (asked++ < 2) throw new Error('no network'); return teacher.Token; } });
  await until(bell, 'it waits', () => bell.states.some((s) => s.reason === 'no_token'));
  await live(bell);
  assert.equal(asked, 3);
});
