// Networks that break WebSockets, and what the gateway is asked to send.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { admin, ask, assign, jwt, Line, live, open, sql, state, teacher, told, until } from './helper.js';

for (const [what, how] of [['refuses WebSockets', false], ['ends WebSockets at once', 'cut']]) {
  test(`where a middlebox ${what}, it falls back to a stream by itself`, async (t) => {
    const line = await Line.lay(t);
    line.upgrade = () => how;
    const bell = open(t, { url: line.url });
    await live(bell);
    assert.equal(line.upgrades, 2, 'once might be an accident');
    assert.equal(line.streams, 1);
    const titles = await assign(2);
    await told(bell, titles);
    line.cut();
    titles.push(...await assign(2));
    await told(bell, titles);
    await live(bell);
    assert.deepEqual(bell.told, titles);
    assert.equal(bell.welcomes.at(-1).resumed, true);
    assert.equal(line.upgrades, 2, 'it stays with what works');
    assert.ok(await bell.latency() > 0);
  });
}

test('a WebSocket that was asked for is not given up', async (t) => {
  const line = await Line.lay(t);
  line.upgrade = () => false;
  const bell = open(t, { url: line.url, transport: 'websocket' });
  await until(bell, 'three attempts', () => bell.states.filter((s) => s.reason === 'websocket_refused').length === 3);
  assert.equal(line.streams, 0);
  line.upgrade = () => true;
  bell.retry();
  await live(bell);
});

test('by a stream, too, every event is told once through a crash of the gateway', async (t) => {
  const bell = open(t, { transport: 'sse' });
  await live(bell);
  const titles = await assign(2);
  await told(bell, titles);
  await ask('kill', '');
  await state(bell, 'reconnecting');
  titles.push(...await assign(2));
  await ask('start', '');
  await told(bell, titles);
  await live(bell);
  assert.deepEqual(bell.told, titles);
});

test('by a stream, too, whoever may not connect is told why', async (t) => {
  const bells = [open(t, { transport: 'sse', token: 'wrong' }), open(t, { transport: 'sse', token: admin.Token })];
  await state(bells[0], 'signed-out');
  assert.equal(bells[0].states.at(-1).reason, 'unauthenticated');
  assert.match(bells[0].states.at(-1).detail, /token/);
  await live(bells[1]);
  await sql(`UPDATE accounts_user SET is_active = false WHERE id = ${admin.ID}`);
  await state(bells[1], 'signed-out');
  const again = open(t, { transport: 'sse', token: admin.Token });
  await state(again, 'stopped');
  assert.equal(again.states.at(-1).reason, 'account_inactive');
  await sql(`UPDATE accounts_user SET is_active = true WHERE id = ${admin.ID}`);
});

test('a stream is replaced by one with a fresh token before the old one expires', async (t) => {
  const bell = open(t, { transport: 'sse', getToken: () => jwt(teacher, 4) });
  await until(bell, 'a second stream', () => bell.welcomes.length === 2);
  const titles = await assign(2);
  await told(bell, titles);
  assert.deepEqual(bell.told, titles);
  assert.ok(!bell.states.some((s) => s.reason), 'nothing went wrong');
});

test('the token is in the address of a WebSocket only', async (t) => {
  const asked = [];
  const real = globalThis.fetch;
  t.mock.method(globalThis, 'fetch', (address, options) => {
    asked.push(String(address));
    return real(address, options);
  });
  const bell = open(t, { transport: 'sse' });
  await live(bell);
  await bell.history();
  assert.equal(asked.length, 2);
  for (const address of asked) assert.ok(!address.includes(teacher.Token), address);
});

for (const transport of ['websocket', 'sse']) {
  test(`by ${transport} only what was asked for comes, and another wish loses nothing`, async (t) => {
    const bell = open(t, { transport, filter: { types: ['assignment_closed'] } });
    const kinds = [];
    bell.addEventListener('event', ({ detail }) => kinds.push(detail.type));
    await live(bell);
    const hidden = await assign(2);
    await sql(`UPDATE assignments_assignment SET status = 'closed' WHERE title = '${hidden[0]}'`);
    await until(bell, 'closed', () => kinds.length > 0);
    assert.deepEqual(kinds, ['assignment_closed']);
    bell.filter({ types: ['assignment'] });
    if (transport === 'websocket') await new Promise((done) => { bell.addEventListener('subscribed', done); });
    else await until(bell, 'a second stream', () => bell.welcomes.length === 2);
    const shown = await assign(2);
    await told(bell, shown);
    assert.deepEqual(bell.told, shown);
    assert.equal(bell.welcomes.length, transport === 'websocket' ? 1 : 2);
    const page = await bell.history({ since: bell.welcomes[0].cursor, limit: 1000 });
    assert.ok(page.events.every((m) => m.type === 'assignment'), 'the history is filtered, too');
  });
}

test('a filter that the gateway does not understand stops the client, with its words', async (t) => {
  const bell = open(t, { transport: 'sse', token: admin.Token, filter: { types: ['No such type!'] } });
  await state(bell, 'stopped');
  assert.equal(bell.states.at(-1).reason, 'bad_request');
  assert.match(bell.states.at(-1).detail, /types/);
});
