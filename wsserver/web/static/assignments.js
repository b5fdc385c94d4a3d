// The table of assignments, and the page of one.
import { Chart } from './chart.js';
import { AT_ONCE, Feed, place } from './feed.js';
import { element } from './words.js';

const SOON = 3000; // what changed is asked for again after this long, in ms …
const SHARE = 20; // … or after this many times what the last answer took, if that is longer
const MOST = 2000;

const COLUMNS = {
  title: (a) => a.title,
  due: (a) => a.due_date ?? '',
  state: (a) => (a.open ? 0 : 1),
  pending: (a) => a.pending,
  ungraded: (a) => a.ungraded,
  graded: (a) => a.graded,
};

export class Assignments {
  #root;
  #ask;
  #words;
  #views = new Map(); // by id, as the gateway lists them
  #list = []; // in the order in which they are shown
  #rows = new Map(); // by id: {row, shown}
  #frame = 0;
  #order = null; // {column, down}
  #timer = 0;
  #took = 0;
  #older = null; // where the list goes on
  #closed = false;

  constructor(root, ask, words) {
    this.#root = root;
    this.#ask = ask;
    this.#words = words;
    for (const button of root.querySelectorAll('th button')) button.onclick = () => this.#sort(button.dataset.column);
    root.querySelector('.older').onclick = () => this.#more();
  }

  get all() { return [...this.#views.values()]; }

  async load() {
    const began = performance.now();
    try {
      const page = await this.#ask.get('api/assignments', { limit: 200 });
      if (this.#closed) return;
      const rest = this.#views;
      this.#views = new Map(page.assignments.map((a) => [String(a.assignment_id), a]));
      const last = page.assignments.at(-1);
      if (page.before !== null && last && rest.size > this.#views.size) { // what was asked for further down stays
        for (const [id, a] of rest) if (!this.#views.has(id)) this.#views.set(id, a);
      } else this.#older = page.before;
      this.#show();
    } catch {
      // What is there stays; the next event asks again.
    }
    this.#took = performance.now() - began;
  }

  async #more() {
    try {
      const page = await this.#ask.get('api/assignments', { limit: 200, before: this.#older });
      for (const a of page.assignments) if (this.#views.size < MOST) this.#views.set(String(a.assignment_id), a);
      this.#older = this.#views.size < MOST ? page.before : null;
      this.#show();
    } catch {
      // The button is still there.
    }
  }

  /** Something happened: the counts are other ones by now. */
  stale() {
    if (this.#timer || this.#closed) return;
    this.#timer = setTimeout(async () => {
      if (!document.hidden) await this.load();
      this.#timer = 0;
    }, Math.max(SOON, SHARE * this.#took));
  }

  speak(words) {
    this.#words = words;
    this.#rows.clear();
    this.#show();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#frame);
    this.#root.querySelector('tbody').replaceChildren();
  }

  #sort(column) {
    const down = this.#order?.column === column ? !this.#order.down : column !== 'title' && column !== 'due' && column !== 'state';
    this.#order = { column, down };
    for (const button of this.#root.querySelectorAll('th button')) {
      const head = button.closest('th');
      if (button.dataset.column === column) head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
    }
    this.#show();
  }

  #show() {
    const list = this.all;
    if (this.#order) {
      const of = COLUMNS[this.#order.column];
      const compare = new Intl.Collator(this.#words.language, { numeric: true }).compare;
      list.sort((a, b) => (typeof of(a) === 'string' ? compare(of(a), of(b)) : of(a) - of(b)) * (this.#order.down ? -1 : 1));
    }
    this.#list = list;
    this.#fill();
    this.#root.querySelector('.none').hidden = list.length > 0;
    this.#root.querySelector('.scroll').hidden = list.length === 0;
    this.#root.querySelector('.older').hidden = this.#older === null;
  }

  // #fill makes the rows of the list that are new or other ones, a few within one frame: a
  // table is laid out as a whole.
  #fill() {
    cancelAnimationFrame(this.#frame);
    let left = AT_ONCE;
    const rows = new Map();
    for (const a of this.#list) {
      const id = String(a.assignment_id);
      const shown = JSON.stringify(a);
      let entry = this.#rows.get(id);
      if (entry?.shown !== shown && left-- > 0) entry = { row: this.#row(a), shown };
      if (entry) rows.set(id, entry);
    }
    this.#rows = rows;
    const body = this.#root.querySelector('tbody');
    const focused = document.activeElement?.closest?.('#assignments tbody a')?.hash;
    place(body, [...rows.values()].map(({ row }) => row));
    if (focused && document.activeElement?.hash !== focused) [...body.querySelectorAll('a')].find((a) => a.hash === focused)?.focus({ preventScroll: true });
    if (left < 0) this.#frame = requestAnimationFrame(() => this.#fill());
  }

  #row(a) {
    const row = document.createElement('tr');
    const title = document.createElement('th');
    title.scope = 'row';
    const link = element('a', '', a.title || this.#words.say('event.Untitled', { id: String(a.assignment_id) }));
    link.href = `#assignment=${encodeURIComponent(a.assignment_id)}`;
    title.append(link);
    const cell = (text, className) => {
      const e = document.createElement('td');
      if (className) e.className = className;
      e.append(text);
      return e;
    };
    row.append(
      title,
      cell(a.due_date ? this.#words.date(new Date(a.due_date)) : '–', 'due'),
      cell(stateOf(a, this.#words)),
      ...['pending', 'ungraded', 'graded'].map((name) => cell(this.#words.number(a[name]), a[name] ? 'number' : 'number zero')),
    );
    return row;
  }
}

function stateOf(a, words) {
  return element('span', a.open ? 'pill open' : 'pill closed', words.say(a.open ? 'assignments.open' : 'assignments.closed'));
}

/** The page of one assignment. */
export class One {
  #root;
  #ask;
  #words;
  #id;
  #view = null;
  #timer = 0;
  #closed = false;
  #chart;
  feed;

  constructor(root, ask, words, id, history) {
    this.#root = root;
    this.#ask = ask;
    this.#words = words;
    this.#id = id;
    for (const part of root.querySelectorAll('.title, .facts, .progress-text')) part.replaceChildren();
    this.#chart = new Chart(root.querySelector('.chart'), ask, words, { filter: { assignment: id }, span: 'week' });
    this.feed = new Feed(root.querySelector('.feed'), history, words);
    root.querySelector('.missing').hidden = true;
    root.querySelector('.there').hidden = true;
  }

  async load() {
    if (!await this.#refresh()) return;
    this.#root.querySelector('.there').hidden = false;
    await this.#chart.load();
    if (this.#closed || !this.#chart.activity.recent) return;
    const since = this.#chart.activity.recent;
    const page = await this.#ask.get('api/events', { since, limit: 100, assignment: this.#id }).catch(() => null);
    if (page && !this.#closed) this.feed.fill(page.events, since);
  }

  async #refresh() {
    try {
      const view = await this.#ask.get(`api/assignments/${encodeURIComponent(this.#id)}`);
      if (this.#closed) return false;
      this.#view = view;
    } catch (error) {
      if (this.#closed) return false;
      if (error.status === 404) {
        this.#view = null;
        this.#root.querySelector('.missing').hidden = false;
        this.#root.querySelector('.there').hidden = true;
      }
      return false;
    }
    this.#show();
    return true;
  }

  #show() {
    const a = this.#view;
    if (!a) return;
    const words = this.#words;
    const title = a.title || words.say('event.Untitled', { id: String(a.assignment_id) });
    this.#root.querySelector('.title').textContent = title;
    document.title = `${title} – schoolbell`;
    this.#root.querySelector('.facts').replaceChildren(
      stateOf(a, words), ...(a.due_date ? [element('span', '', `${words.say('assignments.due')}: ${words.moment(new Date(a.due_date))}`)] : []),
    );
    const all = Math.max(1, a.pending + a.ungraded + a.graded);
    for (const name of ['graded', 'ungraded', 'pending']) {
      const part = this.#root.querySelector(`.bar .${name}`);
      part.hidden = !a[name];
      part.style.flexGrow = String(a[name] / all);
    }
    this.#root.querySelector('.progress-text').textContent = words.say('assignments.progress', a);
  }

  add(m, before) {
    if (m.type !== 'gap' && String(m.assignment_id) !== this.#id) return;
    this.feed.add(m, before);
    this.#chart.add(m);
    this.#timer ||= setTimeout(async () => {
      await this.#refresh();
      this.#timer = 0;
    }, 500);
  }

  tick() {
    this.feed.tick();
    this.#chart.tick();
  }

  speak(words) {
    this.#words = words;
    this.feed.speak(words);
    this.#chart.speak(words);
    this.#show();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#chart.close();
    this.#root.querySelector('.feed').replaceChildren();
    document.title = 'schoolbell';
  }
}
