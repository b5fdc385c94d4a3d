// What the tests of the client share: the site that the Go test made for them, people's
// clients that remember what they were told, and a line that can be cut.

import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PATIENCE = 60_000; // ms; a test that waits longer fails

const operator = process.env.SCHOOLBELL_OPERATOR;
if (!operator) throw new Error('run these with: go test -run JavaScriptClient ./cmd/schoolbell');

// ask has the operator do something, and answers what came of it.
export async function ask(path, body) {
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await fetch(`${operator}/${path}`, { method, body });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${text}`);
  return text && JSON.parse(text);
}

export const sql = (text) => ask('sql', text);
export const jwt = (person, seconds) => ask(`jwt?user=${person.ID}&seconds=${seconds}`);
export const site = await ask('site');
export const [teacher] = site.teachers;
export const [admin] = site.admins;

// What is tested is what browsers get.
const folder = await mkdtemp(join(tmpdir(), 'schoolbell-'));
const served = await (await fetch(`${site.gateway}/schoolbell.js`)).text();
await writeFile(join(folder, 'schoolbell.mjs'), served);
export const { connect, after } = await import(join(folder, 'schoolbell.mjs'));
await rm(folder, { recursive: true });

let assignments = 0;

// assign gives assignments to students, in one transaction, and answers their titles.
export async function assign(n = 1, by = teacher) {
  const titles = Array.from({ length: n }, () => `Essay ${process.pid}-${++assignments}`);
  await sql(`INSERT INTO assignments_assignment (title, description, author_id, status, created_at, updated_at)
    SELECT title, '', ${by.ID}, 'published', now(), now() FROM unnest('{${titles.join()}}'::text[]) title`);
  return titles;
}

// open connects a person's client for the time of a test. It remembers the titles, states
// and gaps that it was told.
export function open(t, options = {}) {
  const bell = connect({ url: site.gateway, token: options.getToken ? undefined : teacher.Token, ...options });
  t.after(() => bell.close());
  Object.assign(bell, { told: [], states: [], gaps: [], welcomes: [] });
  bell.addEventListener('assignment', ({ detail }) => bell.told.push(detail.title));
  bell.addEventListener('state', ({ detail }) => bell.states.push(detail));
  bell.addEventListener('gap', ({ detail }) => bell.gaps.push(detail));
  bell.addEventListener('welcome', ({ detail }) => bell.welcomes.push(detail));
  return bell;
}

// until waits until something is so; it looks whenever the client is told something.
export function until(bell, what, isSo) {
  const kinds = ['event', 'state', 'gap', 'welcome', 'metrics'];
  return new Promise((resolve, reject) => {
    const patience = AbortSignal.timeout(PATIENCE);
    const look = () => { if (isSo(bell)) end(resolve); };
    const late = () => end(() => reject(new Error(`not so: ${what}; states: ${JSON.stringify(bell.states)}, told: ${bell.told}`)));
    const end = (how) => {
      for (const kind of kinds) bell.removeEventListener(kind, look);
      patience.removeEventListener('abort', late);
      how();
    };
    for (const kind of kinds) bell.addEventListener(kind, look);
    patience.addEventListener('abort', late);
    look();
  });
}

export const live = (bell) => until(bell, 'live', () => bell.states.at(-1)?.state === 'live');
export const state = (bell, name) => until(bell, name, () => bell.states.at(-1)?.state === name);
export const told = (bell, titles) => until(bell, `${titles} told`, () => bell.told.length >= titles.length);

// A line between a client and the gateway.
export class Line {
  upgrades = 0; // WebSockets that were asked for
  streams = 0; // and Server-Sent Events
  #server;
  #pairs = new Set();
  #upgrade = () => true; // says what becomes of a WebSocket
  #frozen = false;

  static async lay(t) {
    const line = new Line();
    line.#server = net.createServer((client) => line.#connect(client));
    line.#server.listen(0, '127.0.0.1');
    await once(line.#server, 'listening');
    t.after(() => { line.cut(); line.#server.close(); });
    return line;
  }

  get url() { return `http://127.0.0.1:${this.#server.address().port}/`; }

  // upgrade: what a middlebox does with a WebSocket: false refuses it, 'cut' ends it once
  // the upgrade was answered.
  set upgrade(how) { this.#upgrade = how; }

  // cut ends every connection, as a network does.
  cut() { for (const pair of this.#pairs) for (const end of pair) end.destroy(); }

  // freeze: from now on the connections that there are carry nothing, and nobody hears of it.
  freeze() { for (const pair of this.#pairs) pair.frozen = true; }

  #connect(client) {
    const { hostname, port } = new URL(site.gateway);
    const server = net.connect(port, hostname);
    const pair = [client, server];
    this.#pairs.add(pair);
    client.on('data', (bytes) => {
      const request = bytes.toString('latin1');
      if (/^GET \/sse\//.test(request)) this.streams++;
      if (/^GET \/ws\//.test(request)) {
        this.upgrades++;
        const how = this.#upgrade();
        if (!how) return client.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        pair.cut = how === 'cut';
      }
      if (!pair.frozen) server.write(bytes);
    });
    server.on('data', (bytes) => {
      if (pair.frozen) return;
      if (!pair.cut) return client.write(bytes);
      client.end(bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 4));
      server.destroy();
    });
    for (const [end, other] of [[client, server], [server, client]]) {
      end.on('error', () => {});
      end.on('close', () => { this.#pairs.delete(pair); if (!pair.frozen) other.end(); });
    }
  }
}

// remembering is a storage, as a browser's tab has one.
export function remembering() {
  const kept = new Map();
  return { kept, getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
}
