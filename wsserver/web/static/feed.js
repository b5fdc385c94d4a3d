// The feed: messages become sentences, newest on top. What comes is put into a bounded
// list at once, and shown with the next frame, however much came. Whatever the LMS holds
// is put on the page as text, never as markup.
import { after } from './schoolbell.js';
import { element, nameOf, sentence } from './words.js';

const MOST = 500; // messages that are kept
const ROWS = 200; // rows that are shown
export const AT_ONCE = 15; // rows that are made within one frame
const PAGE = 50; // events fetched at once for a gap
const TITLES = 500;
const GROUP = 4; // so many alike are one row …
const NEAR = 60_000; // … if no more than this, in ms, lies between two of them

/**
 * @typedef {import('../client/schoolbell.js').Page} Page
 */

export class Feed {
  #list;
  #history;
  #words;
  #items = []; // {m, before, key, at}, oldest first
  #rows = new Map(); // by key: {element, version}
  #open = new Set(); // keys of groups that are unfolded
  #frame = 0;
  #paused = null; // the newest that there was when it was paused
  #skipped = 0; // what came since
  #filter = {};
  #number = 0;
  /** Titles by assignment: some messages carry only the assignment's id. */
  titles;
  /** Called when a frame was shown. */
  onshown = () => {};

  /**
   * @param {HTMLElement} list
   * @param {(since: string, limit: number) => Promise<Page>} history
   * @param {import('./words.js').Words} words
   * @param {[string, string][]} [titles]
   */
  constructor(list, history, words, titles = []) {
    this.#list = list;
    this.#history = history;
    this.#words = words;
    this.titles = new Map(titles);
    list.replaceChildren();
  }

  /** The position before the oldest message: resuming from here fills the feed again. */
  get start() { return this.#items[0]?.before ?? ''; }

  get size() { return this.#items.length; }

  get rows() { return this.#list.childElementCount; }

  /** Everybody and everything that the feed tells of: [id, name] each. */
  get people() {
    const people = new Map();
    for (const { m } of this.#items) if (m.student?.id != null) people.set(String(m.student.id), nameOf(m, this.#words));
    return [...people];
  }

  get assignments() {
    const all = new Map();
    for (const { m } of this.#items) if (m.assignment_id != null) all.set(String(m.assignment_id), this.#title(m));
    return [...all];
  }

  /**
   * Puts a message on top.
   * @param {string} before  where the feed was before it
   */
  add(m, before) {
    this.#learn(m);
    this.#items.push(this.#item(m, before));
    if (this.#items.length > MOST) this.#items.splice(0, this.#items.length - MOST);
    if (this.#paused !== null) this.#skipped++;
    this.#show();
  }

  /**
   * Puts what happened before where it belongs, and nothing twice.
   * @param {string} before  where the feed was before the first of them
   */
  fill(events, before) {
    const place = ({ m }) => m.id ?? m.to;
    const there = new Set(this.#items.map(place));
    const older = [];
    for (const m of events) {
      if (!there.has(m.id)) {
        this.#learn(m);
        older.push(this.#item(m, before, 0));
      }
      before = m.id;
    }
    const all = [];
    for (const item of this.#items) {
      while (older.length && after(place(item), place(older[0]))) all.push(older.shift());
      all.push(item);
    }
    this.#items = [...all, ...older].slice(-MOST);
    this.#show();
  }

  /** @param {{kind?: string, assignment?: string, person?: string, text?: string}} filter */
  filter(filter) {
    this.#filter = { ...filter, text: filter.text?.trim().toLocaleLowerCase() };
    this.#show();
  }

  pause(paused) {
    this.#paused = paused ? this.#number : null;
    this.#skipped = 0;
    this.#show();
  }

  get paused() { return this.#paused !== null; }

  get skipped() { return this.#skipped; }

  /** Shows everything anew, in another language. */
  speak(words) {
    this.#words = words;
    this.#rows.clear();
    this.#show();
  }

  /** Brings the relative times up to date. */
  tick() {
    for (const time of this.#list.querySelectorAll('time')) this.#when(time);
  }

  #learn(m) {
    const title = m.assignment_title || (m.type === 'assignment' && m.title);
    if (!title) return;
    const id = String(m.assignment_id);
    if (m.type === 'assignment' && this.titles.get(id) !== title) this.#rows.clear(); // rows with its number have its name now
    this.titles.delete(id);
    this.titles.set(id, title);
    if (this.titles.size > TITLES) this.titles.delete(this.titles.keys().next().value);
  }

  // at is when it came, counted like keys.
  #item(m, before, at) {
    const key = ++this.#number;
    return { m, before, key, at: at ?? key };
  }

  #title(m) {
    return m.assignment_title || m.title || this.titles.get(String(m.assignment_id)) || this.#words.say('event.Untitled', { id: String(m.assignment_id) });
  }

  #passes({ m, at }) {
    if (this.#paused !== null && at > this.#paused) return false;
    const { kind, assignment, person, text } = this.#filter;
    if (m.type === 'gap') return true; // what is missing may be what is looked for
    if (kind && (kind === 'other' ? this.#words.has(`kind.${m.type}`) : m.type !== kind)) return false;
    if (assignment && String(m.assignment_id) !== assignment) return false;
    if (person && String(m.student?.id) !== person) return false;
    if (!text) return true;
    const all = [nameOf(m, this.#words), m.student?.email, m.assignment_id != null && this.#title(m), m.grade, m.text, m.type];
    return all.some((part) => part && String(part).toLocaleLowerCase().includes(text));
  }

  #show() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
      this.onshown();
    });
  }

  // #runs are the rows to be shown, newest first: lists of messages that are alike.
  #runs() {
    const runs = [];
    let rows = 0;
    for (let i = this.#items.length - 1; i >= 0 && rows <= ROWS; i--) {
      const item = this.#items[i];
      if (!this.#passes(item)) continue;
      const run = runs.at(-1);
      if (run && alike(run.at(-1).m, item.m)) run.push(item);
      else runs.push([item]);
      const last = runs.at(-1).length;
      if (last < GROUP) rows++;
      else if (last === GROUP) rows -= GROUP - 2;
    }
    return runs.flatMap((run) => (run.length < GROUP ? run.map((item) => [item]) : [run])).slice(0, ROWS);
  }

  #render() {
    let left = AT_ONCE;
    const wanted = [];
    const kept = new Map();
    for (const run of this.#runs()) {
      const key = run.at(-1).key;
      const version = `${run.length}:${run[0].key}:${this.#open.has(key)}`;
      let row = this.#rows.get(key);
      if (row?.version !== version) {
        if (left-- <= 0) { // the rest comes with the next frames
          this.#show();
          continue;
        }
        const focused = row?.element.contains(document.activeElement);
        row = { version, element: run.length > 1 ? this.#group(run, key) : this.#row(run[0]), focused };
      }
      kept.set(key, row);
      wanted.push(row);
    }
    this.#rows = kept;
    for (const key of this.#open) if (!kept.has(key)) this.#open.delete(key);
    place(this.#list, wanted.map((row) => row.element));
    for (const row of wanted) {
      if (row.focused) row.element.querySelector('button')?.focus();
      row.focused = false;
    }
  }

  #line(m, parts) {
    const row = document.createElement('li');
    row.dataset.kind = m.type;
    const text = document.createElement('p');
    text.append(...parts);
    row.append(text);
    if (m.recovered) row.append(element('span', 'late', this.#words.say('event.late')));
    else if (m.automatic) row.append(element('span', 'note', this.#words.say('event.automatic')));
    if (m.timestamp) {
      const time = document.createElement('time');
      time.dateTime = m.timestamp;
      time.title = this.#words.moment(new Date(m.timestamp));
      this.#when(time);
      row.append(time);
    }
    return row;
  }

  #row(item) {
    const { m } = item;
    const row = this.#line(m, sentence(m, this.#words, this.titles));
    if (m.type === 'gap') row.append(element('span', 'hint', this.#words.say('gap.still')));
    if (m.type === 'gap' && m.reason === 'bulk') row.append(this.#more(item));
    return row;
  }

  // #group says in one sentence what several people did, and shows them on demand.
  #group(run, key) {
    const { m } = run[0];
    const names = [...new Set(run.map((item) => nameOf(item.m, this.#words)))];
    const rest = run.length - Math.min(2, names.length);
    const who = element('b', '', names.slice(0, 2).join(', '));
    const others = this.#words.say('group.others', { n: rest });
    const what = element('cite', '', this.#title(m));
    const row = this.#line(m, this.#words.parts(`group.${m.type}`, { who, others, what }));
    row.classList.add('group');
    const open = this.#open.has(key);
    const button = element('button', '', open ? this.#words.say('group.hide') : this.#words.say('group.show', { n: run.length }));
    button.type = 'button';
    button.setAttribute('aria-expanded', String(open));
    button.onclick = () => {
      if (!this.#open.delete(key)) this.#open.add(key);
      this.#show();
    };
    row.append(button);
    if (open) {
      const inner = document.createElement('ol');
      inner.append(...run.slice(0, ROWS).map((item) => this.#row(item)));
      row.append(inner);
    }
    return row;
  }

  // #more is the button of a bulk gap: it fetches the next events of the gap and
  // puts them where they belong, before what is still missing.
  #more(item) {
    const button = element('button', '', this.#words.say(item.begun ? 'gap.more' : 'gap.show'));
    button.type = 'button';
    button.onclick = async () => {
      button.disabled = true;
      let from = item.begun ?? item.m.from;
      try {
        const page = await this.#history(from, PAGE);
        const found = [];
        if (page.gap) found.push(this.#item(page.gap, from, item.at));
        const events = page.events.filter((m) => !after(m.id, item.m.to));
        for (const m of events) {
          this.#learn(m);
          found.push(this.#item(m, from, item.at));
          from = m.id;
        }
        const count = item.m.count == null ? null : item.m.count - events.length;
        const done = !page.more || !after(item.m.to, page.cursor);
        const rest = done ? [] : [{ ...this.#item({ ...item.m, count }, from, item.at), begun: from }];
        const at = this.#items.indexOf(item);
        if (at >= 0) this.#items.splice(at, 1, ...found, ...rest);
        this.#show();
      } catch {
        button.textContent = this.#words.say('gap.failed');
        button.disabled = false;
      }
    };
    return button;
  }

  #when(time) {
    const text = this.#words.ago(Date.now() - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

// alike are two messages that one sentence can tell.
function alike(a, b) {
  return (a.type === 'submission' || a.type === 'grade') && a.type === b.type && a.assignment_id === b.assignment_id
    && !a.recovered === !b.recovered && Math.abs(Date.parse(a.timestamp) - Date.parse(b.timestamp)) <= NEAR;
}

/** Makes elements the children of a list, and moves none that can stay. */
export function place(list, wanted) {
  const keep = new Set(wanted);
  for (const child of [...list.children]) if (!keep.has(child)) child.remove();
  let next = list.firstElementChild;
  for (const e of wanted) {
    if (e === next) next = next.nextElementSibling;
    else list.insertBefore(e, next);
  }
}
