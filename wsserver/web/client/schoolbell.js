// The schoolbell client: one connection that stays, and tells every event once, in order.
// README.md beside this file says how to use it, schoolbell.d.ts what everything means.

const SECOND = 1000;
const MINUTE = 60 * SECOND; // the wait after protocol_violation; and so long before it expires a token is replaced
const LONGEST = 30 * SECOND; // the random wait doubles from a second up to here
const STEADY = 10 * SECOND; // a connection that held this long makes the wait short again
const QUIET = 45 * SECOND; // after this much silence we ask whether anybody is there …
const ANSWER = 10 * SECOND; // … and this is how long an answer may take
const LOOK = 5 * SECOND; // how often we look …
const SLEPT = 30 * SECOND; // … and if the last time is so long ago, the machine slept
const DAY = 1440 * MINUTE; // a timer runs no longer than this

export const connect = (options = {}) => new Bell(options);

class Bell extends EventTarget {
  #options;
  #base;
  #filter;
  #storage;
  #key; // in the storage
  #token;
  #user; // whose position #since is, if that is known
  #since; // the newest position that we have everything up to
  #state;
  // Our connection, another object each time: {close, send, heard, asked, …}; send is missing
  // from a stream. Of tabs that follow another: {follows, send, …}. Of none: {}.
  #line = {};
  #group; // the tabs that share one connection: {channel, leave, want, release}; release: we lead
  #led; // the state of the leader
  #held; // what the leader sent while we fetch what we missed before it
  #looked = Date.now();
  #said = 0; // when the last state was told
  #failures = 0;
  #doubts = 0; // in the transport; at 4 we try the other one
  #either; // WebSocket or a stream, whichever works
  #stream; // what we use
  #earliest = 0; // the gateway asked us not to come back before
  #timer;
  #look;
  #renewal;
  #offered; // the token that the gateway is looking at
  #replaced = false; // a refused token was replaced, and no welcome came since
  #pongs = [];
  #over = new AbortController(); // aborted: closed
  #id = Math.random();

  constructor(options) {
    super();
    const page = globalThis.document;
    this.#options = options;
    this.#base = new URL(options.url ?? import.meta.url.replace(/[^/]*$/, ''), page?.baseURI);
    if (!/^https?:$/.test(this.#base.protocol)) throw new TypeError('connect needs { url }: where the gateway is');
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    this.#key = `schoolbell:${this.#base}`;
    this.#filter = options.filter ?? {};
    this.#token = options.token;
    const { transport = 'auto' } = options;
    this.#either = transport === 'auto' && globalThis.WebSocket;
    this.#stream = transport !== 'websocket' && !this.#either;
    this.#recall();
    this.#look = setInterval(() => this.#check(), LOOK);
    // #over has the signal that ends them, by that name.
    for (const type of ['online', 'offline', 'visibilitychange']) {
      (type[0] === 'o' ? globalThis : page)?.addEventListener?.(type, () => this.#awake(type), this.#over);
    }
    queueMicrotask(() => this.#start()); // whoever called adds listeners first
  }

  get cursor() { return this.#since; }

  get state() { return this.#state; }

  close() {
    this.#over.abort();
    clearInterval(this.#look);
    this.#leave();
  }

  retry() {
    if (this.#line.follows) this.#group.channel.postMessage({ retry: true });
    else if (this.#timer) this.#again();
  }

  filter(filter = {}) {
    this.#filter = filter;
    if (this.#over.signal.aborted) return;
    const { welcome, send, heard } = this.#line;
    if (!this.#group && welcome && send) {
      const all = (list) => (list?.length ? list : null);
      send({ type: 'subscribe', types: all(filter.types), assignments: all(filter.assignments) });
    } else if (this.#group || heard) { // otherwise the next connection has it
      this.#leave();
      this.#timer = setTimeout(() => this.#start(), Math.max(0, this.#earliest - Date.now()));
    }
  }

  async latency() {
    const began = performance.now();
    const { welcome, send, follows } = this.#line;
    if (welcome && send && !follows) {
      send({ type: 'ping' });
      if (!await new Promise((answer) => this.#pongs.push(answer))) return null;
    } else if (!await this.#session()) return null;
    return performance.now() - began;
  }

  async history({ since = this.#since, to, limit = 100 } = {}) {
    const answer = await this.#get('api/events', { since, limit });
    if (!answer.ok) throw new Error(`the gateway answered ${answer.status}`, { cause: answer });
    const page = await answer.json();
    if (to) {
      page.events = page.events.filter((m) => !after(m.id, to));
      page.more &&= after(to, page.cursor);
    }
    return page;
  }

  #address(path, query) {
    const { types, assignments } = this.#filter;
    const address = new URL(path, this.#base);
    query = { ...query, types, assignment: assignments };
    for (const key in query) if (String(query[key] ?? '')) address.searchParams.set(key, query[key]);
    return address;
  }

  #session() { return this.#get('api/session').catch(() => null); }

  #get(path, query, signal = AbortSignal.timeout(ANSWER)) {
    const token = this.#token;
    return fetch(this.#address(path, query), {
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
    let kept;
    try {
      this.#storage = storage === undefined ? globalThis.sessionStorage : storage;
      kept = JSON.parse(this.#storage.getItem(this.#key));
    } catch {
      // The storage is forbidden, or holds something else.
    }
    kept = since ? { cursor: since } : kept ?? {};
    this.#user = kept.user;
    this.#since = /^\w+\/\w+\.\d+$/.test(kept.cursor) ? kept.cursor : '';
  }

  #keep() {
    try {
      this.#storage?.setItem(this.#key, JSON.stringify({ user: this.#user, cursor: this.#since }));
    } catch {
      // Full: then the next tab begins where this one did.
    }
  }

  // How we connect: alone, or as one of the tabs that share a connection.

  async #start() {
    if (this.#over.signal.aborted) return;
    this.#drop();
    const line = this.#line;
    const { getToken, share } = this.#options;
    this.#say('connecting');
    if (line !== this.#line) return;
    try {
      if (getToken && !this.#token) {
        this.#token = await getToken();
        if (line !== this.#line) return;
        if (!this.#token) return this.#stop('signed-out', 'unauthenticated');
      }
    } catch {
      return line === this.#line && this.#wait(0, 'no_token');
    }
    if (share === false || !globalThis.navigator?.locks || !globalThis.BroadcastChannel) return this.#open();
    let user;
    if (!this.#token) { // whoever has another cookie is somebody else
      const answer = await this.#session();
      if (line !== this.#line) return;
      if (!answer?.ok) return this.#judge(answer);
      user = (await answer.json().catch(() => ({}))).user_id;
    }
    const who = new TextEncoder().encode([this.#address(''), this.#token, user]);
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', who));
    if (line === this.#line) this.#join('schoolbell:' + btoa(String.fromCharCode(...hash)));
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
    this.#drop();
    const send = () => this.#group.channel.postMessage({ hello: this.#id });
    this.#line = { follows: true, heard: Date.now(), send };
    this.#ask();
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
      const { welcome, target } = this.#line;
      const m = welcome && { ...welcome, cursor: target || this.#since, resumed: undefined };
      if (hello) this.#post({ to: hello, m, before: this.#since, state: this.#state });
      return;
    }
    if (hello || retry || !this.#line.follows || (to && to !== this.#id)) return;
    Object.assign(this.#line, { heard: Date.now(), asked: 0 });
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
    else this.#take(told.m, told.reset, told.to);
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
        if (error.cause?.status === 401) return this.#refused('unauthenticated');
        await new Promise((over) => setTimeout(over, jitter(failures++)));
        if (held !== this.#held) return;
      }
    }
    this.#held = null;
    for (const { m, reset, to } of held) this.#take(m, reset, to);
    if (this.#led) this.#mirror(this.#led);
  }

  // The connection.

  #open() {
    this.#drop();
    const line = this.#line;
    if (this.#state.state !== 'connecting') this.#say('connecting');
    if (line !== this.#line) return; // whoever was told has closed it
    line.heard = line.asked = Date.now();
    const hear = (text) => { if (line === this.#line) this.#receive(text); };
    const end = (how) => { if (line === this.#line) this.#ended(how); };
    if (this.#stream) return this.#read(line, hear, end);
    const address = this.#address('ws/dashboard/', { since: this.#since, token: this.#token }); // browsers set no headers here
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
  async #read(line, hear, end) {
    const cut = new AbortController();
    line.close = () => cut.abort();
    try {
      const answer = await this.#get('sse/dashboard/', { since: this.#since }, cut.signal);
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
    const line = this.#line;
    this.#line = {};
    this.#held = null;
    clearTimeout(this.#renewal);
    clearTimeout(this.#timer);
    this.#timer = 0;
    for (const answer of this.#pongs.splice(0)) answer();
    line.close?.();
  }

  #receive(text) {
    const m = JSON.parse(text);
    const line = this.#line;
    const before = this.#since;
    line.heard = Date.now();
    line.asked = 0;
    if (m.type === 'ping') line.send?.({ type: 'pong' });
    if (m.type === 'pong') for (const answer of this.#pongs.splice(0)) answer(true);
    if (m.type === 'auth') return this.#answered(m);
    if (m.type === 'disconnect') return line.last = m;
    if (m.type === 'welcome') {
      if (this.#user !== undefined && this.#user !== m.user_id && (before || this.#group)) {
        // Another cookie than before: the position is not this person's.
        this.#since = '';
        this.#user = undefined;
        this.#leave();
        return this.#wait(0, 'other_account');
      }
      // The position does not count any more: the gap that comes says from where on.
      line.reset = before && m.resumed === false;
      line.target = before && after(m.cursor, before) ? m.cursor : ''; // while catching up
      this.#expects(m);
    }
    const reset = line.reset && m.type === 'gap';
    if (reset) line.reset = false;
    this.#post({ m, before, reset });
    this.#take(m, reset);
    if (m.type !== 'welcome' || line !== this.#line) return;
    this.#say(line.target ? 'catching-up' : 'live');
    // Its pong carries a cursor, and comes after what we missed: then we know that we have it.
    if (line.target) line.send?.({ type: 'ping' });
  }

  // #take tells a message, whichever way it came.
  #take(m, reset, again) {
    const line = this.#line;
    if (m.id) {
      if (!after(m.id, this.#since)) return; // told before
      this.#emit('event', m);
      if (m.type !== 'event' && m.type !== 'state') this.#emit(m.type, m);
      if (line.target && Date.now() - this.#said > SECOND / 4) {
        this.#say('catching-up', { behind: Date.parse(line.welcome.timestamp) - Date.parse(m.timestamp) });
      }
      return this.#reached(m.id);
    }
    if (m.type === 'gap') {
      if (reset) this.#since = '';
      this.#emit('gap', { ...m, refetch: m.reason === 'bulk' ? { since: m.from, to: m.to } : null });
      return this.#reached(m.to);
    }
    if (m.type === 'welcome') {
      if (again && line.welcome) return;
      line.welcome = m;
      line.since = Date.now();
      this.#user = m.user_id;
      this.#replaced = false;
      // Until what we missed has come, the place to resume from stays where it was.
      if (!this.#since) this.#reached(m.cursor);
      return this.#emit('welcome', m);
    }
    if (m.type === 'metrics' && line.welcome) line.welcome = { ...line.welcome, metrics: m }; // for whoever comes
    if (m.type !== 'ping' && m.type !== 'pong') this.#emit(m.type, m);
    this.#reached(m.cursor);
  }

  #reached(position) {
    if (!position) return;
    if (after(position, this.#since)) {
      this.#since = position;
      this.#keep();
    }
    const line = this.#line;
    if (line.target && !after(line.target, this.#since)) {
      line.target = '';
      this.#say('live');
    }
  }

  // How a connection ends, and what follows.

  async #ended({ code, answer } = {}) {
    const { last, welcome, since } = this.#line;
    const steady = welcome && Date.now() - since > STEADY;
    this.#drop();
    const line = this.#line;
    code = last?.code ?? code;
    if (steady) this.#failures = this.#doubts = 0;
    if (code === 4401) return this.#refused('credentials_revoked');
    if (code === 4403 || last?.reconnect === false) return this.#stop('stopped', last?.reason ?? 'role_not_allowed');
    if (code === 1008) return this.#wait(last?.retry_after_ms ?? MINUTE, 'protocol_violation');
    if (last) return this.#wait(last.retry_after_ms ?? 0, last.reason);
    if (welcome) {
      if (!steady) this.#doubt(1);
      return this.#wait(0, 'connection_lost');
    }
    // It never came to be: browsers hide from the WebSocket why.
    answer ??= await this.#session();
    if (line === this.#line) this.#judge(answer);
  }

  async #judge(answer) {
    const line = this.#line;
    const said = await answer?.json().catch(() => 0) || {};
    if (line !== this.#line) return;
    if (answer?.status === 401) return this.#refused(said.error ?? 'unauthenticated', said.detail);
    if ((answer?.status === 403 || answer?.status === 400) && said.error) return this.#stop('stopped', said.error, said.detail);
    if (answer?.status < 500 && !said.error) this.#doubt(2); // the gateway is there, or a proxy: it is the transport
    const seconds = Number(answer?.headers.get('Retry-After')) || 0;
    this.#wait(seconds * SECOND, said.error ?? (answer?.ok ? 'websocket_refused' : 'connection_lost'), said.detail);
  }

  #doubt(weight) {
    if (!this.#either || (this.#doubts += weight) < 4) return;
    this.#stream = !this.#stream;
    this.#doubts = this.#failures = 0;
  }

  // #refused replaces a token that the gateway does not take any more, once.
  async #refused(reason, detail) {
    const { getToken } = this.#options;
    if (!getToken || this.#replaced) return this.#stop('signed-out', reason, detail);
    this.#drop();
    const line = this.#line;
    let token;
    try {
      token = await getToken();
    } catch {
      return line === this.#line && this.#wait(0, reason, detail); // the next refusal asks for a token again
    }
    if (line !== this.#line) return;
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
    this.#renewal = setTimeout(() => this.#renew(), Math.min(DAY, left - Math.min(MINUTE, left / 2)));
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
    const { follows, heard, asked } = this.#line;
    if (!heard || (asked ? now - asked < ANSWER : now - heard < QUIET)) return;
    if (!asked) this.#ask();
    else if (follows) this.#group.want({ steal: true });
    else this.#ended();
  }

  #ask() {
    this.#line.asked = Date.now();
    this.#line.send?.({ type: 'ping' });
  }

  #awake(why) {
    const { heard, asked, send } = this.#line;
    if (why === 'online' && this.#stream && !heard) this.#doubt(4); // perhaps another network
    if (heard) {
      if (send && !asked) this.#ask();
    } else if (why !== 'offline' && why !== 'visibilitychange' && Date.now() >= this.#earliest) this.retry();
  }
}

// Full jitter: a random wait whose bound doubles.
const jitter = (failures) => Math.random() * Math.min(LONGEST, SECOND * 2 ** failures);

// after reports whether position a comes after b; any position comes after ''. A position,
// like "16/B374D848.2", is two hexadecimal numbers and a decimal one: here they get one width.
export const after = (a, b) => rank(a) > rank(b);
const rank = (position) => (position ?? '').toUpperCase().replace(/\w+/g, (number) => number.padStart(20, 0));
