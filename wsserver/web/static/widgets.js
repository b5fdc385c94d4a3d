// <schoolbell-tiles> and <schoolbell-feed>, for pages of the learning platform:
//   <script type="module" src="https://live.example.org/widgets.js"></script>
//   <schoolbell-tiles></schoolbell-tiles>
// The platform's own session signs in. A page that has a token instead gives a function in
// the property getToken, before it puts the element in. lang chooses the language.
import { connect } from './schoolbell.js';
import { Ask } from './ask.js';
import { Feed } from './feed.js';
import { Tiles } from './tiles.js';
import { Words, choose } from './words.js';

const HOME = new URL('.', import.meta.url);
const TICK = 5000;

// One connection for all elements of the page that sign in in the same way.
const lines = new Map();

function lineFor(getToken) {
  let line = lines.get(getToken);
  if (!line) {
    let token = '';
    const bell = connect({
      url: HOME,
      storage: null,
      getToken: getToken && (async () => { token = (await getToken()) ?? ''; return token; }),
    });
    line = { bell, ask: new Ask(HOME, () => token), users: 0, welcome: null };
    bell.addEventListener('welcome', ({ detail }) => { line.welcome = detail; });
    lines.set(getToken, line);
  }
  line.users++;
  return line;
}

function letGo(getToken, line) {
  if (--line.users > 0) return;
  line.bell.close();
  line.ask.stop();
  lines.delete(getToken);
}

class Widget extends HTMLElement {
  getToken;
  #line;
  #heard;
  #timer;
  #state;

  connectedCallback() {
    const root = this.shadowRoot ?? this.attachShadow({ mode: 'open' });
    root.replaceChildren();
    const style = document.createElement('link');
    style.rel = 'stylesheet';
    style.href = new URL('style.css', HOME).href;
    this.words = new Words(choose([this.closest('[lang]')?.lang, ...navigator.languages]));
    this.#state = document.createElement('p');
    this.#state.className = 'hint';
    this.#state.setAttribute('role', 'status');
    const line = this.#line = lineFor(this.getToken);
    root.append(style, this.build(line), this.#state);
    this.#heard = new AbortController();
    const { signal } = this.#heard;
    const on = (type, what) => line.bell.addEventListener(type, ({ detail }) => what(detail), { signal });
    on('welcome', (m) => this.welcome(m, line));
    on('metrics', (m) => this.metrics(m));
    on('event', (m) => this.event(m, line.bell.cursor));
    on('gap', (m) => this.event(m, line.bell.cursor));
    on('state', (s) => this.#show(s));
    this.#timer = setInterval(() => this.tick(), TICK);
    if (line.bell.state) this.#show(line.bell.state);
    if (line.welcome) this.welcome(line.welcome, line);
  }

  disconnectedCallback() {
    clearInterval(this.#timer);
    this.#heard.abort();
    letGo(this.getToken, this.#line);
  }

  // #show says how the connection is, unless all is well.
  #show(s) {
    const name = { reconnecting: 'waiting', offline: 'waiting', 'signed-out': 'signed-out' }[s.state] ?? s.state;
    const why = this.words.has(`why.${s.reason}`) ? this.words.say(`why.${s.reason}`) : s.detail ?? '';
    const text = name === 'stopped' ? why : this.words.say(`state.${name}`, { why }).trim();
    this.#state.textContent = name === 'live' ? '' : text;
    this.toggleAttribute('stale', name !== 'live');
  }

  metrics() {}
}

class TilesElement extends Widget {
  #tiles;

  build() {
    const list = document.createElement('dl');
    list.id = 'tiles';
    this.#tiles = new Tiles(list, this.words);
    return list;
  }

  welcome(m, line) {
    this.hidden = !m.metrics; // a student has none
    this.#tiles.show(m.metrics);
    this.#tiles.load(line.ask).catch(() => {}); // the bars begin now
  }

  metrics(m) { this.#tiles.show(m); }
  event(m) { this.#tiles.add(m); }
  tick() { this.#tiles.tick(); }
}

class FeedElement extends Widget {
  #feed;
  #begun = false;

  build(line) {
    const list = document.createElement('ol');
    list.className = 'feed';
    list.setAttribute('aria-label', this.words.say('feed'));
    this.#feed = new Feed(list, (since, limit) => line.bell.history({ since, limit }), this.words);
    this.#begun = false;
    return list;
  }

  async welcome(m, line) {
    if (this.#begun) return;
    this.#begun = true;
    try {
      const from = new Date(Date.now() - 86400_000).toISOString();
      const { recent } = await line.ask.get('api/activity', { from, step: 86400 });
      const page = await line.ask.get('api/events', { since: recent, limit: 60 });
      if (!page.gap) this.#feed.fill(page.events, recent);
    } catch {
      // Then it begins with what happens next.
    }
  }

  event(m, before) { this.#feed.add(m, before); }
  tick() { this.#feed.tick(); }
}

customElements.define('schoolbell-tiles', TilesElement);
customElements.define('schoolbell-feed', FeedElement);
