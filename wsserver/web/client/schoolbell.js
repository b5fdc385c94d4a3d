// The schoolbell client: one connection that stays, and tells every event once, in order.
// README.md beside this file says how to use it, schoolbell.d.ts what everything means.

const SECOND = 1000;
const FIRST_WAIT = SECOND; // doubles with every failure …
const LONGEST_WAIT = 30 * SECOND; // … up to here
const PENALTY = 60 * SECOND; // after protocol_violation: something of ours is wrong, do not hammer
const STEADY = 10 * SECOND; // a connection that held this long makes the wait short again
const QUIET = 45 * SECOND; // after this much silence we ask whether anybody is there …
const ANSWER = 10 * SECOND; // … and this is how long an answer may take
const LOOK = 5 * SECOND; // how often we look …
const SLEPT = 30 * SECOND; // … and if the last time is so long ago, the machine slept
const EARLY = 60 * SECOND; // so long before it expires a token is replaced, or at half its time …
const DAY = 86400 * SECOND; // … but a timer runs no longer than this
const KEPT = 'schoolbell:'; // before the gateway's address: the key in the storage
const WAKING = ['online', 'offline', 'pageshow'];

export const connect = (options = {}) => new Bell(options);

class Bell extends EventTarget {
  #options;
  #base;
  #filter;
  #storage;
  #token;
  #user; // whose position #since is, if that is known
  #since; // the newest position that we have everything up to
  #state;
  #line; // {close, send}: our connection; send is missing from a stream
  #group; // the tabs that share one connection: {channel, leave, want, release}; release: we lead
  #turn = 0; // grows whenever what still runs has no say any more
  #led; // the state of the leader
  #held; // what the leader sent while we fetch what we missed before it
  #welcome; // the last one; none yet on this connection: undefined
  #welcomed = 0; // when it came
  #target = ''; // while catching up: the cursor of welcome
  #reset = false; // our position does not count any more: the gap that comes says from where on
  #last; // the disconnect message of this connection
  #heard = 0; // when the last message came
  #asked = 0; // since when we wait for one; 0: we do not
  #looked = Date.now();
  #said = 0; // when the last state was told
  #failures = 0;
  #doubts = 0; // in the transport; at 4 we try the other one
  #stream;
  #earliest = 0; // the gateway asked us not to come back before
  #timer = 0;
  #look;
  #renewal = 0;
  #offered; // the token that the gateway is looking at
  #replaced = false; // a refused token was replaced, and no welcome came since
  #pongs = [];
  #closed = false;
  #id = Math.random();
  #wake = (event) => this.#awake(event.type);

  constructor(options) {
    super();
    const page = globalThis.document;
    this.#options = options;
    this.#base = new URL(options.url ?? import.meta.url.replace(/[^/]*$/, ''), page?.baseURI);
    if (!/^https?:$/.test(this.#base.protocol)) throw new TypeError('say where the gateway is: connect({ url: "https://…" })');
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    this.#filter = options.filter ?? {};
    this.#token = options.token;
    this.#stream = options.transport === 'sse' || (options.transport !== 'websocket' && !globalThis.WebSocket);
    this.#recall();
    this.#look = setInterval(() => this.#check(), LOOK);
    for (const type of WAKING) globalThis.addEventListener?.(type, this.#wake);
    page?.addEventListener('visibilitychange', this.#wake);
    queueMicrotask(() => this.#start()); // whoever called adds listeners first
  }

  get cursor() { return this.#since; }

  get state() { return this.#state; }

  close() {
    this.#closed = true;
    clearInterval(this.#look);
    for (const type of WAKING) globalThis.removeEventListener?.(type, this.#wake);
    globalThis.document?.removeEventListener('visibilitychange', this.#wake);
    this.#leave();
  }

  retry() {
    if (this.#group && !this.#group.release) this.#group.channel.postMessage({ retry: true });
    else if (this.#timer) this.#again();
  }

  filter(filter = {}) {
    this.#filter = filter;
    if (this.#closed) return;
    if (!this.#group && this.#welcomed && this.#line?.send) {
      const all = (list) => (list?.length ? list : null);
      this.#line.send({ type: 'subscribe', types: all(filter.types), assignments: all(filter.assignments) });
    } else if (this.#group || this.#line) { // otherwise the next connection has it
      this.#leave();
      this.#timer = setTimeout(() => this.#start(), Math.max(0, this.#earliest - Date.now()));
    }
  }

  async latency() {
    const began = performance.now();
    if (this.#welcomed && this.#line?.send) {
      this.#line.send({ type: 'ping' });
      if (!await new Promise((answer) => this.#pongs.push(answer))) return null;
    } else if (!await this.#get(this.#address('api/session')).catch(() => null)) return null;
    return performance.now() - began;
  }

  async history({ since = this.#since, to, limit = 100 } = {}) {
    const answer = await this.#get(this.#address('api/events', { since, limit, ...this.#query() }));
    if (!answer.ok) throw Object.assign(new Error(`the gateway answered ${answer.status}`), { status: answer.status });
    const page = await answer.json();
    if (to) {
      page.events = page.events.filter((m) => !after(m.id, to));
      page.more &&= after(to, page.cursor);
    }
    return page;
  }

  #query() {
    const { types, assignments } = this.#filter;
    return { types: types?.join(), assignment: assignments?.join() };
  }

  #address(path, query = {}) {
    const address = new URL(path, this.#base);
    for (const key in query) if (query[key]) address.searchParams.set(key, query[key]);
    return address;
  }

  #get(address, signal = AbortSignal.timeout(ANSWER)) {
    const token = this.#token;
    return fetch(address, {
      headers: token ? { Authorization: `Bearer ${token}` } : {},
      credentials: token ? 'same-origin' : 'include', // the gateway may be of another origin
      cache: 'no-store',
      signal,
    });
  }

  #emit(type, detail) { this.dispatchEvent(new CustomEvent(type, { detail })); }

  #say(state, more) {
    this.#said = Date.now();
    this.#state = { state, attempt: this.#failures, ...more };
    this.#post({ state: this.#state });
    this.#emit('state', this.#state);
  }

  // Where we were: in the storage, unless it was said.

  #recall() {
    const { since, storage } = this.#options;
    try {
      this.#storage = storage === undefined ? globalThis.sessionStorage : storage;
      const kept = JSON.parse(this.#storage?.getItem(KEPT + this.#base.href)) ?? {};
      if (!since) [this.#user, this.#since] = [kept.user, kept.cursor];
    } catch {
      // The storage is forbidden, or holds something else.
    }
    this.#since ??= since;
    if (!isPosition(this.#since)) this.#since = '';
  }

  #keep() {
    try {
      this.#storage?.setItem(KEPT + this.#base.href, JSON.stringify({ user: this.#user, cursor: this.#since }));
    } catch {
      // Full: then the next tab begins where this one did.
    }
  }

  // How we connect: alone, or as one of the tabs that share a connection.

  async #start() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    if (this.#closed) return;
    const turn = ++this.#turn;
    const { getToken, share } = this.#options;
    this.#say('connecting');
    if (turn !== this.#turn) return;
    try {
      if (getToken && !this.#token) {
        this.#token = await getToken();
        if (turn !== this.#turn) return;
        if (!this.#token) return this.#stop('signed-out', 'unauthenticated');
      }
    } catch {
      return turn === this.#turn && this.#wait(0, 'no_token');
    }
    if (share === false || !globalThis.navigator?.locks || !globalThis.BroadcastChannel) return this.#open();
    let user;
    if (!this.#token) { // whoever has another cookie is somebody else
      const answer = await this.#get(this.#address('api/session')).catch(() => null);
      if (turn !== this.#turn) return;
      if (!answer?.ok) return this.#judge(answer);
      user = (await answer.json().catch(() => ({}))).user_id;
    }
    const who = new TextEncoder().encode(JSON.stringify([this.#base, this.#token, user, this.#query()]));
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', who));
    if (turn === this.#turn) this.#join(KEPT + btoa(String.fromCharCode(...hash)));
  }

  // #join: whoever holds the lock leads, has the connection, and passes on what comes. The
  // browser gives the lock of a tab that dies to the next one.
  #join(name) {
    const channel = new BroadcastChannel(name);
    const left = new AbortController();
    const group = this.#group = {
      channel,
      leave: () => { channel.close(); left.abort(); group.release?.(); },
      want: (how) => navigator.locks.request(name, how, () => new Promise((release) => {
        if (group !== this.#group) return release();
        group.release = release;
        this.#open();
      })).catch((error) => {
        if (group !== this.#group) return;
        group.release = null;
        this.#drop();
        if (error.name !== 'AbortError') { // no locks here, as in a frame without an origin
          this.#leave();
          return this.#open();
        }
        this.#follow(); // somebody thought that we were dead
        group.want({ signal: left.signal });
      }),
    };
    channel.onmessage = (event) => { if (group === this.#group) this.#overhear(event.data); };
    this.#follow();
    group.want({ signal: left.signal });
  }

  #follow() {
    this.#asked = this.#heard = Date.now();
    this.#group.channel.postMessage({ hello: this.#id });
  }

  #leave() {
    this.#drop();
    const group = this.#group;
    this.#group = null;
    group?.leave();
  }

  // #post tells the tabs that follow us.
  #post(words) {
    if (this.#group?.release) this.#group.channel.postMessage(words);
  }

  #overhear({ hello, retry, to, state, token, ...told }) {
    if (this.#group.release) {
      if (retry) this.retry();
      // What is still to come to us will come to whoever is new, too.
      const m = this.#welcome && { ...this.#welcome, cursor: this.#target || this.#since, resumed: undefined };
      if (hello) this.#post({ to: hello, m, before: this.#since, state: this.#state });
      return;
    }
    if (hello || retry || (to && to !== this.#id)) return;
    this.#heard = Date.now();
    this.#asked = 0;
    if (token) this.#token = token;
    if (told.m) this.#follows({ ...told, to });
    if (state) this.#mirror(state);
  }

  // #mirror says what the leader says, once we are where it is.
  #mirror(state) {
    this.#led = state;
    if (this.#held) return;
    if (state.state !== this.#state.state || state.retryAt) this.#say(state.state, state);
    if (state.state === 'signed-out' || state.state === 'stopped') this.close();
  }

  // #follows: before is where the leader was before this message. If we are not as far,
  // the history has what we missed.
  #follows(told) {
    if (this.#held) this.#held.push(told);
    else if (this.#since && !told.reset && after(told.before, this.#since)) this.#heal(told);
    else if (!told.to || !this.#welcomed) this.#take(told.m, told.reset);
  }

  async #heal(first) {
    const held = this.#held = [first];
    this.#say('catching-up');
    for (let failures = 0, more = true; more && after(first.before, this.#since);) {
      try {
        const page = await this.history({ limit: 1000 });
        if (held !== this.#held) return;
        if (page.gap) this.#take(page.gap, true);
        for (const m of page.events) this.#take(m);
        this.#reached(page.cursor);
        more = page.more;
      } catch (error) {
        if (held !== this.#held) return;
        if (error.status === 401) return this.#refused('unauthenticated');
        await new Promise((over) => setTimeout(over, jitter(failures++)));
        if (held !== this.#held) return;
      }
    }
    this.#held = null;
    for (const { m, reset, to } of held) if (!to || !this.#welcomed) this.#take(m, reset);
    if (this.#led) this.#mirror(this.#led);
  }

  // The connection.

  #open() {
    this.#drop();
    const turn = this.#turn;
    if (this.#state.state !== 'connecting') this.#say('connecting');
    if (turn !== this.#turn) return;
    this.#asked = this.#heard = Date.now();
    const line = this.#line = {};
    const hear = (text) => { if (line === this.#line) this.#receive(text); };
    const end = (how) => { if (line === this.#line) this.#ended(how); };
    const query = { since: this.#since, ...this.#query() };
    if (this.#stream) return this.#read(line, this.#address('sse/dashboard/', query), hear, end);
    const address = this.#address('ws/dashboard/', { token: this.#token, ...query }); // browsers set no headers here
    address.protocol = address.protocol.replace('http', 'ws');
    try {
      const socket = new WebSocket(address);
      line.close = () => socket.close();
      line.send = (m) => { if (socket.readyState === 1) socket.send(JSON.stringify(m)); };
      socket.onmessage = (event) => hear(event.data);
      socket.onclose = socket.onerror = end; // not every node tells both
    } catch {
      end();
    }
  }

  // #read reads Server-Sent Events; EventSource cannot send a token.
  async #read(line, address, hear, end) {
    const cut = new AbortController();
    line.close = () => cut.abort();
    try {
      const answer = await this.#get(address, cut.signal);
      if (!/^text\/event-stream/.test(answer.headers.get('Content-Type'))) {
        line.close = null; // so that the answer can be read
        return end({ answer });
      }
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = '', next; !(next = await reader.read()).done;) {
        const blocks = (rest + next.value).split('\n\n');
        rest = blocks.pop();
        for (const block of blocks) for (const field of block.split('\n')) if (field.startsWith('data:')) hear(field.slice(5));
      }
    } catch {
      // Cut, by whomever.
    }
    end();
  }

  // #drop lets go of the connection: nothing that still comes from it is heard.
  #drop() {
    clearTimeout(this.#timer);
    clearTimeout(this.#renewal);
    this.#timer = this.#welcomed = this.#asked = 0;
    this.#target = '';
    this.#last = this.#held = this.#welcome = null;
    this.#reset = false;
    this.#turn++;
    for (const answer of this.#pongs.splice(0)) answer(false);
    const line = this.#line;
    this.#line = null;
    line?.close?.();
  }

  #receive(text) {
    const m = JSON.parse(text);
    this.#heard = Date.now();
    this.#asked = 0;
    if (m.type === 'ping') this.#line.send?.({ type: 'pong' });
    if (m.type === 'auth') return this.#answered(m);
    if (m.type === 'disconnect') return this.#last = m;
    if (m.type === 'pong') for (const answer of this.#pongs.splice(0)) answer(true);
    const asked = this.#since;
    const reset = this.#reset && m.type === 'gap';
    if (m.type === 'welcome') {
      if (this.#user !== undefined && this.#user !== m.user_id && (asked || this.#group)) {
        // Another cookie than before: the position is not this person's.
        this.#since = '';
        this.#user = undefined;
        this.#leave();
        return this.#wait(0, 'other_account');
      }
      this.#reset = asked !== '' && m.resumed === false;
      this.#target = asked && after(m.cursor, asked) ? m.cursor : '';
      this.#expects(m);
    }
    if (reset) this.#reset = false;
    this.#post({ m, before: asked, reset });
    this.#take(m, reset);
    if (m.type !== 'welcome' || !this.#line) return;
    this.#say(this.#target ? 'catching-up' : 'live');
    // Its pong carries a cursor, and comes after what we missed: then we know that we have it.
    if (this.#target) this.#line?.send?.({ type: 'ping' });
  }

  // #take tells a message, whichever way it came.
  #take(m, reset) {
    if (m.id) {
      if (isPosition(m.id) && !after(m.id, this.#since)) return; // told before
      this.#emit('event', m);
      if (m.type !== 'event' && m.type !== 'state') this.#emit(m.type, m);
      if (this.#target && Date.now() - this.#said > SECOND / 4) {
        this.#say('catching-up', { behind: Date.parse(this.#welcome.timestamp) - Date.parse(m.timestamp) });
      }
      return this.#reached(m.id);
    }
    if (m.type === 'gap') {
      if (reset) this.#since = '';
      this.#emit('gap', { ...m, refetch: m.reason === 'bulk' ? { since: m.from, to: m.to } : null });
      return this.#reached(m.to);
    }
    if (m.type === 'welcome') {
      this.#welcome = m;
      this.#welcomed = Date.now();
      this.#user = m.user_id;
      this.#replaced = false;
      // Until what we missed has come, the place to resume from stays where it was.
      if (!this.#since) this.#reached(m.cursor);
      return this.#emit('welcome', m);
    }
    if (m.type === 'metrics' && this.#welcome) this.#welcome = { ...this.#welcome, metrics: m };
    if (m.type !== 'ping' && m.type !== 'pong') this.#emit(m.type, m);
    this.#reached(m.cursor);
  }

  #reached(position) {
    if (!position) return;
    if (after(position, this.#since)) {
      this.#since = position;
      this.#keep();
    }
    if (this.#target && !after(this.#target, this.#since)) {
      this.#target = '';
      this.#say('live');
    }
  }

  // How a connection ends, and what follows.

  async #ended({ code, answer } = {}) {
    const last = this.#last;
    const welcomed = this.#welcomed;
    const steady = Date.now() - welcomed > STEADY;
    this.#drop();
    const turn = this.#turn;
    code = last?.code ?? code;
    if (welcomed && steady) this.#failures = this.#doubts = 0;
    if (code === 4401) return this.#refused('credentials_revoked');
    if (code === 4403 || last?.reconnect === false) return this.#stop('stopped', last?.reason ?? 'role_not_allowed');
    if (code === 1008) return this.#wait(last?.retry_after_ms ?? PENALTY, 'protocol_violation');
    if (last) return this.#wait(last.retry_after_ms ?? 0, last.reason);
    if (welcomed) {
      if (!steady) this.#doubt(1);
      return this.#wait(0, 'connection_lost');
    }
    // It never came to be: browsers hide from the WebSocket why.
    answer ??= await this.#get(this.#address('api/session')).catch(() => null);
    if (turn === this.#turn) this.#judge(answer);
  }

  async #judge(answer) {
    const turn = this.#turn;
    const said = await answer?.json().catch(() => 0) || {};
    if (turn !== this.#turn) return;
    if (answer?.status === 401) return this.#refused(said.error ?? 'unauthenticated', said.detail);
    if ((answer?.status === 403 || answer?.status === 400) && said.error) return this.#stop('stopped', said.error, said.detail);
    if (answer?.status < 500 && !said.error) this.#doubt(2); // the gateway is there, or a proxy: it is the transport
    const seconds = Number(answer?.headers.get('Retry-After')) || 0;
    this.#wait(seconds * SECOND, said.error ?? (answer?.ok ? 'websocket_refused' : 'connection_lost'), said.detail);
  }

  #doubt(weight) {
    if (this.#options.transport && this.#options.transport !== 'auto') return;
    if ((this.#doubts += weight) < 4 || !globalThis.WebSocket) return;
    this.#stream = !this.#stream;
    this.#doubts = this.#failures = 0;
  }

  // #refused replaces a token that the gateway does not take any more, once.
  async #refused(reason, detail) {
    const { getToken } = this.#options;
    if (!getToken || this.#replaced) return this.#stop('signed-out', reason, detail);
    this.#drop();
    const turn = this.#turn;
    let token;
    try {
      token = await getToken();
    } catch {
      return turn === this.#turn && this.#wait(0, reason, detail); // the next refusal asks for a token again
    }
    if (turn !== this.#turn) return;
    if (!token || token === this.#token) return this.#stop('signed-out', reason, detail);
    this.#leave();
    this.#token = token;
    this.#replaced = true;
    this.#wait(0, reason, detail);
  }

  #stop(state, reason, detail) {
    this.#say(state, { reason, detail });
    this.close();
  }

  #wait(atLeast, reason, detail) {
    const wait = atLeast + jitter(this.#failures++);
    this.#earliest = Date.now() + atLeast;
    this.#timer = setTimeout(() => this.#again(), wait);
    const state = globalThis.navigator?.onLine === false ? 'offline' : 'reconnecting';
    this.#say(state, { reason, detail, retryAt: Date.now() + wait });
  }

  #again() {
    if (this.#group) this.#open();
    else this.#start();
  }

  // A token is replaced before it expires. The gateway's two times tell how long that is;
  // our clock may be wrong.

  #expects(m) {
    clearTimeout(this.#renewal);
    if (!m.expires || !this.#options.getToken) return;
    const left = Date.parse(m.expires) - Date.parse(m.timestamp);
    this.#renewal = setTimeout(() => this.#renew(), Math.min(DAY, left - Math.min(EARLY, left / 2)));
  }

  async #renew() {
    const line = this.#line;
    this.#renewal = setTimeout(() => this.#renew(), ANSWER); // unless there is an answer
    try {
      const token = await this.#options.getToken();
      if (!token || line !== this.#line) return; // a new connection says anew when its token expires
      this.#offered = token;
      if (line.send) return line.send({ type: 'auth', token });
      this.#renewed(); // a stream cannot take it: the next one resumes with it
      this.#open();
    } catch {
      // The timer has it tried again.
    }
  }

  #answered(m) {
    if (!m.ok) return; // the timer has another one tried
    this.#renewed();
    clearTimeout(this.#renewal);
    this.#expects(m);
  }

  #renewed() {
    this.#token = this.#offered;
    this.#post({ token: this.#token }); // for whoever takes over
  }

  // What died without a word, and what wakes up.

  #check() {
    const now = Date.now();
    const slept = now - this.#looked > SLEPT;
    this.#looked = now;
    if (slept) this.#awake();
    const following = this.#group && !this.#group.release;
    if (!this.#line && !following) return;
    if (this.#asked ? now - this.#asked < ANSWER : now - this.#heard < QUIET) return;
    if (!this.#asked) this.#ask();
    else if (following) this.#group.want({ steal: true });
    else this.#ended();
  }

  #ask() {
    this.#asked = Date.now();
    if (this.#line) this.#line.send?.({ type: 'ping' });
    else this.#group.channel.postMessage({ hello: this.#id });
  }

  #awake(why) {
    if (why === 'online' && this.#stream && !this.#line) this.#doubt(4); // perhaps another network
    if (this.#timer) {
      if (why !== 'offline' && why !== 'visibilitychange' && Date.now() >= this.#earliest) this.retry();
    } else if (!this.#asked && (this.#line?.send || (this.#group && !this.#line))) this.#ask();
  }
}

// Full jitter: a random wait whose bound doubles.
const jitter = (failures) => Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** failures);

// after reports whether position a comes after b; any position comes after ''.
export function after(a, b) {
  const [p, q] = [parts(a), parts(b)];
  for (let i = 0; i < 3; i++) if (p[i] !== q[i]) return p[i] > q[i];
  return false;
}

const isPosition = (text) => parts(text)[0] >= 0;

// parts reads "16/B374D848.2": two hexadecimal numbers and a decimal one.
function parts(position) {
  const found = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})\.(\d+)$/i.exec(position ?? '');
  return found ? [parseInt(found[1], 16), parseInt(found[2], 16), Number(found[3])] : [-1, 0, 0];
}
