// A connection that stays: cuts, restarts, sleep, lines that died without a word.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admin, ask, assign, Line, live, open, site, sql, state, teacher, told, until } from './helper.js';

test('an event is told as such and by the name of its type', async (t) => {
  const bell = open(t);
  const all = [];
  bell.addEventListener('event', ({ detail }) => all.push(detail));
  await live(bell);
  assert.deepEqual(bell.states.map((s) => s.state), ['connecting', 'live']);
  assert.equal(bell.welcomes[0].user_id, teacher.ID);
  const before = bell.cursor;
  const [title] = await assign();
  await told(bell, [title]);
  assert.deepEqual(bell.told, [title]);
  assert.equal(all[0].title, title);
  assert.notEqual(bell.cursor, before);
});

test('through cuts every event is told once, in order', async (t) => {
  const line = await Line.lay(t);
  const bell = open(t, { url: line.url });
  await live(bell);
  const titles = [];
  for (let i = 0; i < 4; i++) {
    titles.push(...await assign(5));
    line.cut();
    titles.push(...await assign(5));
    bell.retry();
    await until(bell, 'back', () => bell.welcomes.length === i + 2);
  }
  await told(bell, titles);
  await live(bell);
  assert.deepEqual(bell.told, titles);
  assert.ok(bell.states.some((s) => s.state === 'reconnecting' && s.reason === 'connection_lost' && s.retryAt > 0));
});

test('the gateway is killed and comes back: every event is told once', async (t) => {
  const bells = [open(t), open(t, { token: admin.Token })];
  await Promise.all(bells.map(live));
  const titles = await assign(3);
  await Promise.all(bells.map((bell) => told(bell, titles)));
  await ask('kill', '');
  await Promise.all(bells.map((bell) => state(bell, 'reconnecting')));
  titles.push(...await assign(3));
  await ask('start', '');
  await Promise.all(bells.map((bell) => told(bell, titles)));
  await Promise.all(bells.map(live));
  titles.push(...await assign(1));
  for (const bell of bells) {
    await told(bell, titles);
    assert.deepEqual(bell.told, titles);
  }
});

test('a gateway that goes away is not asked before it said', async (t) => {
  const bell = open(t);
  await live(bell);
  const began = Date.now();
  const stopped = ask('stop', '');
  await state(bell, 'reconnecting');
  const { reason, retryAt } = bell.states.at(-1);
  assert.equal(reason, 'going_away');
  assert.ok(retryAt - began >= 1000, `asked to come back after at least a second, it comes after ${retryAt - began} ms`);
  await stopped;
  await ask('start', '');
  await live(bell);
  assert.equal(bell.welcomes.at(-1).resumed, true);
});

test('a line that died without a word is found by the pings that do not come', async (t) => {
  const line = await Line.lay(t);
  t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() });
  const bell = open(t, { url: line.url });
  await live(bell);
  line.freeze();
  const [title] = await assign();
  for (let i = 0; i < 8; i++) t.mock.timers.tick(5000); // 40 s: silence may be just that
  assert.equal(bell.states.at(-1).state, 'live');
  for (let i = 0; i < 3; i++) t.mock.timers.tick(5000); // at 45 s it asks, at 55 s it has no answer
  await state(bell, 'reconnecting');
  await told(bell, [title]);
  assert.deepEqual(bell.told, [title]);
});

test('after a sleep it asks at once whether the line is still there', async (t) => {
  const line = await Line.lay(t);
  t.mock.timers.enable({ apis: ['setInterval', 'Date'], now: Date.now() });
  const bell = open(t, { url: line.url });
  await live(bell);
  // Shorter than the silence that makes it ask anyway.
  const sleep = () => { t.mock.timers.setTime(Date.now() + 30_000); t.mock.timers.tick(5000); };
  sleep();
  await bell.latency(); // the answer to its question comes before this one
  for (let i = 0; i < 3; i++) t.mock.timers.tick(5000);
  assert.equal(bell.states.at(-1).state, 'live', 'a sleep alone is no reason to reconnect');
  await bell.latency();
  line.freeze();
  sleep();
  for (let i = 0; i < 2; i++) t.mock.timers.tick(5000);
  await state(bell, 'reconnecting');
  await live(bell);
});

test('the latency is that of the line, and null without one', async (t) => {
  const line = await Line.lay(t);
  const bell = open(t, { url: line.url });
  await live(bell);
  const took = await bell.latency();
  assert.ok(took > 0, `${took} ms`);
  line.freeze();
  const asked = bell.latency();
  bell.close();
  assert.equal(await asked, null);
});

test('whoever may not connect is told why, and not again', async (t) => {
  const student = site.students[0];
  await sql(`INSERT INTO authtoken_token (key, created, user_id) VALUES ('of-a-student', now(), ${student.ID})`);
  const bells = [open(t, { token: 'of-a-student' }), open(t, { token: 'wrong' })];
  await state(bells[0], 'stopped');
  assert.equal(bells[0].states.at(-1).reason, 'role_not_allowed');
  assert.match(bells[0].states.at(-1).detail, /dashboards are for/);
  await state(bells[1], 'signed-out');
  assert.equal(bells[1].states.at(-1).reason, 'unauthenticated');
  for (const bell of bells) {
    bell.retry();
    assert.deepEqual(bell.states.map((s) => s.state), ['connecting', bell.states.at(-1).state]);
  }
});
