// The feed: messages become sentences, newest on top. Whatever the LMS holds is
// put on the page as text, never as markup.

import { after } from './schoolbell.js';

const MOST = 200; // rows
const PAGE = 50; // events fetched at once for a gap

/**
 * @typedef {import('../client/schoolbell.js').Message} Message
 * @typedef {import('../client/schoolbell.js').Page} Page
 */

export class Feed {
  #list;
  #history;
  /** Titles by assignment: messages about submissions carry only the assignment's id. */
  #titles;

  /**
   * @param {HTMLElement} list
   * @param {(since: string, limit: number) => Promise<Page>} history
   * @param {[string, string][]} [titles]
   */
  constructor(list, history, titles = []) {
    this.#list = list;
    this.#history = history;
    this.#titles = new Map(titles);
    list.replaceChildren();
  }

  get titles() { return [...this.#titles]; }

  /** The position before the oldest row: resuming from here fills the feed again. */
  get start() { return this.#list.lastElementChild?.dataset.after ?? ''; }

  /**
   * Puts a message on top.
   * @param {Message} message
   * @param {string} position  where the feed was before it
   */
  add(message, position) {
    this.#list.prepend(this.#row(message, position));
    this.#trim();
  }

  /** Brings the relative times up to date. */
  tick() {
    for (const time of this.#list.querySelectorAll('time')) show(time);
  }

  #trim() {
    while (this.#list.childElementCount > MOST) this.#list.lastElementChild.remove();
  }

  #row(message, position) {
    const row = document.createElement('li');
    row.dataset.kind = message.type;
    row.dataset.after = position;
    const text = document.createElement('p');
    text.append(...(message.type === 'gap' ? gap(message) : this.#sentence(message)));
    row.append(text);
    if (message.recovered) row.append(element('span', 'late', 'told late'));
    if (message.timestamp) {
      const time = document.createElement('time');
      time.dateTime = message.timestamp;
      time.title = new Date(message.timestamp).toLocaleString();
      show(time);
      row.append(time);
    }
    if (message.type === 'gap' && message.reason === 'bulk') row.append(this.#more(row, message));
    return row;
  }

  // #sentence says an event in words; strings and elements, in order.
  #sentence(m) {
    switch (m.type) {
      case 'submission':
        return [name(m.student), ' handed in ', this.#title(m)];
      case 'grade':
        if (m.grade === null || m.grade === undefined) return [name(m.student), ' got a grade for ', this.#title(m)];
        return [name(m.student), ' got ', element('b', 'grade', String(m.grade)), ' for ', this.#title(m)];
      case 'assignment':
        this.#titles.set(String(m.assignment_id), m.title);
        return ['New assignment: ', this.#title(m), m.due_date ? `, due ${date(m.due_date)}` : ''];
      case 'assignment_closed':
        return [this.#title(m, 'Assignment'), ' was closed'];
    }
    // Somebody's own type: its text, where it has one.
    return [element('b', '', String(m.text ?? m.message ?? m.title ?? m.type))];
  }

  #title(m, otherwise = 'assignment') {
    const title = m.assignment_title || this.#titles.get(String(m.assignment_id));
    return title ? element('cite', '', title) : `${otherwise} ${m.assignment_id}`;
  }

  // #more is the button of a bulk gap: it fetches the next events of the gap and
  // puts them where they belong, under the gap's row.
  #more(row, message) {
    const button = element('button', '', 'Show them');
    button.type = 'button';
    let left = message.count;
    let from = message.from;
    button.onclick = async () => {
      button.disabled = true;
      try {
        const page = await this.#history(from, PAGE);
        const events = page.events.filter((m) => !after(m.id, message.to));
        if (page.gap) row.after(this.#row(page.gap, from));
        for (const m of events) {
          row.after(this.#row(m, from));
          from = m.id;
        }
        left = left === null ? null : left - events.length;
        row.dataset.after = from;
        this.#trim();
        if (!page.more || !after(message.to, page.cursor)) row.remove();
        else row.querySelector('p').replaceChildren(...gap({ ...message, count: left }));
        button.textContent = 'Show more';
      } catch {
        button.textContent = 'That did not work; try again';
      }
      button.disabled = false;
    };
    return button;
  }
}

// gap says what is missing.
function gap(m) {
  const some = m.count === null || m.count === undefined ? 'Some' : m.count.toLocaleString('en');
  const events = m.count === 1 ? 'event' : 'events';
  switch (m.reason) {
    case 'bulk':
      return [`${some} more ${events} happened at once and are not shown one by one.`];
    case 'retention':
      return [`${some} ${events} before this are older than what is kept, and cannot be shown.`];
    case 'history_lost':
      return [`${some} ${events} before this were lost with the history, and cannot be shown.`];
  }
  return [`${some} ${events} before this cannot be shown (${m.reason}).`];
}

function name(person) {
  const full = [person?.first_name, person?.last_name].filter(Boolean).join(' ');
  return element('b', '', full || person?.email || `student ${person?.id ?? ''}`);
}

// element makes an element with text in it. Names and titles keep their own
// writing direction, so that one in Arabic does not turn the sentence round.
function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.dir = 'auto';
  e.textContent = text;
  return e;
}

function date(timestamp) {
  return new Date(timestamp).toLocaleDateString('en-GB', { weekday: 'short', day: 'numeric', month: 'short' });
}

function show(time) {
  time.textContent = ago(Date.now() - Date.parse(time.dateTime));
}

/** Says how long ago something was, as briefly as a person would. */
export function ago(/** @type {number} */ ms) {
  const seconds = Math.round(ms / 1000);
  if (seconds < 5) return 'now'; // also when the server's clock is ahead of ours
  if (seconds < 60) return `${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ago`;
  const days = Math.floor(hours / 24);
  return days === 1 ? 'yesterday' : `${days} days ago`;
}
