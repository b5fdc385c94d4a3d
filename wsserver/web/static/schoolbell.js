// The schoolbell client: one WebSocket that stays connected, and tells every
// event once, in order.
//
//   import { connect } from './schoolbell.js';
//   const bell = connect({ token, onMessage: m => …, onState: s => … }); // or without a token, by the cookie
//   bell.close();
//
// What it promises:
//  - onMessage gets welcome, metrics, gap and every event. After a cut it resumes
//    where it was (since=), and an event that comes twice is told once. Where the
//    gateway does not have all of it any more, onMessage gets a gap, then the rest.
//  - onState always says how things are. Nothing is retried after the gateway
//    said that this token, or this person, may not connect.
//  - It reconnects after a random wait that doubles, and by itself never sooner than
//    the gateway asked for, so that a restart is not followed by a stampede.

/**
 * @typedef {Object} Message  One message of the gateway; the fields depend on the type.
 * @property {string} type
 * @property {string} [id]      an event's id; ids grow
 * @property {string} [cursor]  everything up to here has been sent
 * @property {string} [timestamp]
 *
 * @typedef {Object} State  How the connection is.
 * @property {'connecting'|'catching-up'|'live'|'waiting'|'stopped'} name
 * @property {string} [reason]  why it waits or stopped: a code of the protocol, or 'offline'
 * @property {string} [detail]  the gateway's own words for it
 * @property {number} [until]   waiting: when it tries again, in ms like Date.now()
 *
 * @typedef {Object} Page  A part of the history.
 * @property {Message[]} events
 * @property {string} cursor     where the next page begins
 * @property {boolean} more      there is a next page
 * @property {Message|null} gap  what is missing before the events
 *
 * @typedef {Object} Options
 * @property {string} [token]      without one the browser's cookie of the learning platform says who it is
 * @property {(message: Message) => void} onMessage
 * @property {(state: State) => void} onState
 * @property {string} [since]      resume after this id
 * @property {string|URL} [base]   where the gateway is; by default where this module came from
 */

const SECOND = 1000;
const FIRST_WAIT = 1 * SECOND; // doubles with every failure …
const LONGEST_WAIT = 30 * SECOND; // … up to here
const PENALTY = 60 * SECOND; // after protocol_violation: something of ours is wrong, do not hammer
const STEADY = 10 * SECOND; // a connection that held this long makes the wait short again
const QUIET = 45 * SECOND; // after this much silence we ask whether anybody is there …
const ANSWER = 10 * SECOND; // … and this is how long the answer may take

/** Connects, and stays connected until close() is called or the gateway says stop. */
export function connect(/** @type {Options} */ options) {
  return new Client(options);
}

class Client {
  #options;
  #base;
  /** @type {WebSocket|null} */ #socket = null;
  #since; // the newest position that we have everything up to
  #target = ''; // while catching up: the cursor of welcome
  #reset = false; // what we have does not count any more: the gap that comes says from where on
  #failures = 0;
  #welcomed = 0; // when welcome came on this socket; 0: not yet
  #heard = 0; // when the last message came
  #asked = 0; // when we asked whether anybody is there; 0: we did not
  #last = null; // the `disconnect` message of this socket
  #timer = 0;
  #earliest = 0; // the gateway asked us not to come back before
  #watch = 0;
  #closed = false;
  #wake = (event) => this.#awake(event.type);

  constructor(options) {
    this.#options = options;
    this.#base = new URL(options.base ?? '.', import.meta.url);
    this.#since = isPosition(options.since) ? options.since : '';
    this.#watch = setInterval(() => this.#check(), 5 * SECOND);
    addEventListener('online', this.#wake);
    document.addEventListener('visibilitychange', this.#wake);
    this.#open();
  }

  /** The position to resume from: everything up to here has been told. */
  get cursor() { return this.#since; }

  /** Tries at once instead of waiting. */
  retry() {
    if (!this.#closed && !this.#socket && this.#timer) this.#open();
  }

  /** Ends the connection for good. */
  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#watch);
    removeEventListener('online', this.#wake);
    document.removeEventListener('visibilitychange', this.#wake);
    this.#drop();
  }

  /**
   * Reads one page of the history: the events after a position, oldest first.
   * @param {string} since
   * @param {number} limit
   * @returns {Promise<Page>}
   */
  async history(since, limit) {
    const address = this.#address('api/events');
    address.searchParams.set('since', since);
    address.searchParams.set('limit', String(limit));
    const answer = await this.#get(address);
    if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`);
    return answer.json();
  }

  #address(path) { return new URL(path, this.#base); }

  #get(address) {
    const token = this.#options.token;
    return fetch(address, {
      headers: token ? { Authorization: `Token ${token}` } : {},
      credentials: token ? 'same-origin' : 'include', // the gateway may be of another origin
      cache: 'no-store',
      signal: AbortSignal.timeout(ANSWER),
    });
  }

  #say(state) { this.#options.onState(state); }

  #open() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#welcomed = 0;
    this.#asked = 0;
    this.#last = null;
    this.#reset = false;
    this.#heard = Date.now();
    this.#say({ name: 'connecting' });

    const address = this.#address('ws/dashboard/');
    address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:';
    if (this.#options.token) address.searchParams.set('token', this.#options.token); // a browser cannot set headers here
    if (this.#since) address.searchParams.set('since', this.#since);

    const socket = new WebSocket(address);
    let opened = false;
    this.#socket = socket;
    socket.onopen = () => { opened = true; };
    socket.onmessage = (event) => { if (socket === this.#socket) this.#receive(event.data); };
    socket.onclose = (event) => { if (socket === this.#socket) this.#ended(event.code, opened); };
  }

  // #drop lets go of the socket: nothing that still comes from it is heard.
  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  #send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #receive(text) {
    this.#heard = Date.now();
    this.#asked = 0;
    const m = /** @type {Message} */ (JSON.parse(text));
    switch (m.type) {
      case 'ping':
        this.#send({ type: 'pong' });
        break;
      case 'pong':
        break;
      case 'disconnect':
        this.#last = m;
        return;
      case 'welcome':
        this.#welcome(m);
        return;
      case 'gap':
        this.#options.onMessage(m);
        if (this.#reset) this.#since = '';
        this.#reset = false;
        this.#reached(m.to);
        return;
      default:
        if (isPosition(m.id) && !after(m.id, this.#since)) return; // told before
        this.#options.onMessage(m);
    }
    this.#reached(m.id ?? m.cursor);
  }

  #welcome(m) {
    this.#welcomed = Date.now();
    const asked = this.#since;
    // Until the events in between have come, the place to resume from stays where it was.
    if (!asked) this.#since = m.cursor ?? '';
    this.#reset = asked !== '' && m.resumed === false;
    this.#target = asked && after(m.cursor, asked) ? m.cursor : '';
    this.#options.onMessage(m);
    this.#say({ name: this.#target ? 'catching-up' : 'live' });
    // Its pong carries a cursor, and comes after what we missed: then we know that we have it.
    if (this.#target) this.#send({ type: 'ping' });
  }

  #reached(position) {
    if (!position) return;
    if (after(position, this.#since)) this.#since = position;
    if (this.#target && !after(this.#target, this.#since)) {
      this.#target = '';
      this.#say({ name: 'live' });
    }
  }

  #ended(code, opened) {
    this.#socket = null;
    if (this.#welcomed && Date.now() - this.#welcomed > STEADY) this.#failures = 0;
    const why = this.#last;
    if (code === 4401) return this.#stop('credentials_revoked');
    if (code === 4403) return this.#stop('role_not_allowed');
    if (why?.reconnect === false) return this.#stop(why.reason);
    if (code === 1008) return this.#wait(PENALTY, 'protocol_violation');
    if (opened || why) return this.#wait(why?.retry_after_ms ?? 0, why?.reason ?? 'offline');
    return this.#askWhy();
  }

  // #askWhy learns why the upgrade was refused: browsers hide that from the WebSocket.
  async #askWhy() {
    let answer;
    let said = {};
    try {
      answer = await this.#get(this.#address('api/session'));
      said = await answer.json();
    } catch {
      // No answer, or none of the gateway's: said stays empty.
    }
    if (this.#closed) return;
    if (!answer) return this.#wait(0, 'offline');
    if (answer.status === 401 || answer.status === 403) {
      return this.#stop(said.error ?? 'unauthenticated', said.detail);
    }
    const seconds = Number(answer.headers.get('Retry-After')) || 0;
    this.#wait(seconds * SECOND, said.error ?? (answer.ok ? 'websocket_refused' : 'offline'), said.detail);
  }

  #stop(reason, detail) {
    this.close();
    this.#say({ name: 'stopped', reason, detail });
  }

  #wait(atLeast, reason, detail) {
    if (this.#closed) return;
    const spread = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.#failures);
    this.#failures++;
    const wait = atLeast + Math.random() * spread; // full jitter
    this.#earliest = Date.now() + atLeast;
    this.#timer = setTimeout(() => this.#open(), wait);
    this.#say({ name: 'waiting', reason, detail, until: Date.now() + wait });
  }

  // #check finds the sockets that died without a word, after a sleep or behind a proxy.
  #check() {
    if (!this.#socket) return;
    const now = Date.now();
    const asked = this.#asked || (this.#welcomed ? 0 : this.#heard);
    if (asked && now - asked > ANSWER) {
      this.#drop();
      this.#wait(0, 'offline');
    } else if (!asked && now - this.#heard > QUIET) {
      this.#ask();
    }
  }

  #ask() {
    this.#asked = Date.now();
    this.#send({ type: 'ping' });
  }

  // #awake runs when the network or the tab comes back.
  #awake(event) {
    if (document.visibilityState === 'hidden') return;
    if (event === 'online' && Date.now() >= this.#earliest) this.retry();
    else if (this.#welcomed && this.#socket && !this.#asked) this.#ask();
  }
}

/** Reports whether position a comes after b; any position comes after ''. */
export function after(/** @type {string} */ a, /** @type {string} */ b) {
  const [p, q] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i++) if (p[i] !== q[i]) return p[i] > q[i];
  return false;
}

function isPosition(text) { return parts(text)[0] >= 0; }

// parts reads "16/B374D848.2": two hexadecimal numbers and a decimal one.
function parts(position) {
  const found = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})\.(\d+)$/i.exec(position ?? '');
  return found ? [parseInt(found[1], 16), parseInt(found[2], 16), Number(found[3])] : [-1, 0, 0];
}
