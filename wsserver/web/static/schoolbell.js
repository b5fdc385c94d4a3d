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
//  - With refresh, a function that gives a fresh token, a token that expires is replaced
//    in time, without a cut; one that expired while the machine slept, at the return.
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
 * @property {() => string|Promise<string>} [refresh]  gives a fresh token; '' when the person
 *   has to sign in again; a failure is tried again
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
const EARLY = 60 * SECOND; // so long before it expires a token is replaced, or at half its time …
const DAY = 86400 * SECOND; // … but a timer runs no longer than this

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
  #token;
  #offered = ''; // the token that the gateway is looking at
  #replaced = false; // a refused token was replaced, and no welcome came since
  #renewal = 0;
  #closed = false;
  #wake = (event) => this.#awake(event.type);

  constructor(options) {
    this.#options = options;
    this.#token = options.token;
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
    clearTimeout(this.#renewal);
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
    if (this.#token) address.searchParams.set('token', this.#token); // a browser cannot set headers here
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
      case 'auth':
        this.#answered(m);
        return;
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
    this.#replaced = false;
    this.#offered = '';
    this.#expects(m);
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
    if (code === 4401) return this.#refused('credentials_revoked');
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
    if (answer.status === 401) return this.#refused(said.error ?? 'unauthenticated', said.detail);
    if (answer.status === 403) return this.#stop(said.error ?? 'role_not_allowed', said.detail);
    const seconds = Number(answer.headers.get('Retry-After')) || 0;
    this.#wait(seconds * SECOND, said.error ?? (answer.ok ? 'websocket_refused' : 'offline'), said.detail);
  }

  // #expects has the token replaced before it expires. The gateway's two times tell how
  // long that is; ours may be wrong.
  #expects(m) {
    clearTimeout(this.#renewal);
    if (!m.expires || !this.#options.refresh) return;
    const left = Date.parse(m.expires) - Date.parse(m.timestamp);
    this.#renewal = setTimeout(() => this.#renew(), Math.min(DAY, left - Math.min(EARLY, left / 2)));
  }

  async #renew() {
    const socket = this.#socket;
    this.#renewal = setTimeout(() => this.#renew(), ANSWER); // unless there is an answer
    try {
      const token = await this.#options.refresh();
      if (!token || socket !== this.#socket) return; // a new socket says anew when its token expires
      this.#offered = token;
      this.#send({ type: 'auth', token });
    } catch {
      // The timer has it tried again.
    }
  }

  #answered(m) {
    if (!m.ok) return; // the timer has another one tried
    this.#token = this.#offered;
    this.#expects(m);
    if (!m.expires) clearTimeout(this.#renewal);
  }

  // #refused replaces a token that the gateway does not take any more, once.
  async #refused(reason, detail) {
    if (!this.#options.refresh || this.#replaced) return this.#stop(reason, detail);
    clearTimeout(this.#renewal);
    this.#say({ name: 'waiting', reason, detail });
    let token;
    try {
      token = await this.#options.refresh();
    } catch {
      return this.#wait(0, reason, detail); // the next refusal asks for a token again
    }
    if (this.#closed) return;
    if (!token || token === this.#token) return this.#stop(reason, detail);
    this.#token = token;
    this.#replaced = true;
    this.#wait(0, reason, detail);
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
