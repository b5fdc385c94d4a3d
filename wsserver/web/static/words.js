// Words, numbers and times in the language of whoever reads. A language is one file; a
// word that one of them lacks is shown in English.
import en from './en.js';
import ru from './ru.js';

export const LANGUAGES = { en, ru };

/** The first language of the list that there is, else English. */
export function choose(wanted = []) {
  for (const tag of wanted) {
    const name = String(tag).toLowerCase().split('-')[0];
    if (Object.hasOwn(LANGUAGES, name)) return name;
  }
  return 'en';
}

export class Words {
  #texts;
  #plural;
  #number;
  #ago;
  #time;
  #date;
  #moment;

  constructor(language) {
    this.language = language;
    this.#texts = LANGUAGES[language];
    this.#plural = new Intl.PluralRules(language);
    this.#number = new Intl.NumberFormat(language);
    this.#ago = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
    this.#time = new Intl.DateTimeFormat(language, { hour: '2-digit', minute: '2-digit' });
    this.#date = new Intl.DateTimeFormat(language, { weekday: 'short', day: 'numeric', month: 'short' });
    this.#moment = new Intl.DateTimeFormat(language, { weekday: 'short', day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
  }

  has(key) { return key in this.#texts || key in en; }

  // #form is the text of a key, in the form for args.n.
  #form(key, args) {
    let text = this.#texts[key] ?? en[key] ?? key;
    if (typeof text === 'object') {
      const n = args.n;
      text = typeof n !== 'number' ? text.unknown ?? text.other : (n === 0 && text.zero) || text[this.#plural.select(n)] || text.other;
    }
    return text;
  }

  /** A text with what is put in, as a string. */
  say(key, args = {}) {
    return this.#form(key, args).replace(/\{(\w+)\}/g, (_, name) => (typeof args[name] === 'number' ? this.number(args[name]) : args[name] ?? ''));
  }

  /** The same as strings and elements, in the order of the language. */
  parts(key, args = {}) {
    return this.#form(key, args).split(/\{(\w+)\}/).map((part, i) => (i % 2 ? args[part] ?? '' : part)).filter((part) => part !== '');
  }

  number(n) { return this.#number.format(n); }
  time(at) { return this.#time.format(at); }
  date(at) { return this.#date.format(at); }
  moment(at) { return this.#moment.format(at); }

  /** How long ago, as briefly as a person would say it. */
  ago(ms) {
    const seconds = Math.round(ms / 1000);
    if (seconds < 5) return this.say('event.now'); // also when the server's clock is ahead of ours
    const [n, unit] = span(seconds);
    return this.#ago.format(-n, unit);
  }

  /** How long. */
  span(ms) {
    const [n, unit] = span(Math.round(ms / 1000));
    return new Intl.NumberFormat(this.language, { style: 'unit', unit, unitDisplay: 'short' }).format(n);
  }

  /** Puts its words into every element that names one. */
  fill(root) {
    for (const e of root.querySelectorAll('[data-t]')) e.textContent = this.say(e.dataset.t);
    for (const e of root.querySelectorAll('[data-label]')) e.setAttribute('aria-label', this.say(e.dataset.label));
  }
}

function span(seconds) {
  if (seconds < 60) return [seconds, 'second'];
  if (seconds < 3600) return [Math.floor(seconds / 60), 'minute'];
  if (seconds < 86400) return [Math.floor(seconds / 3600), 'hour'];
  return [Math.floor(seconds / 86400), 'day'];
}

/** An element with a text in it that keeps its own writing direction. */
export function element(tag, className, text) {
  const e = document.createElement(tag);
  if (className) e.className = className;
  e.dir = 'auto';
  e.textContent = text;
  return e;
}

/** Who an event is about; '' for nobody. */
export function nameOf(m, words) {
  const person = m.student;
  if (!person) return '';
  const full = [person.first_name, person.last_name].filter(Boolean).join(' ');
  if (full || person.email) return full || person.email;
  return person.id === null ? words.say('event.somebody') : words.say('event.student', { id: String(person.id ?? '') });
}

/** What an event says, as strings and elements. */
export function sentence(m, words, titles) {
  const what = (key = 'event.untitled') => {
    const title = m.assignment_title || m.title || titles.get(String(m.assignment_id));
    return title ? element('cite', '', title) : words.say(key, { id: String(m.assignment_id) });
  };
  const who = () => element('b', '', nameOf(m, words));
  switch (m.type) {
    case 'submission':
      return words.parts('event.submission', { who: who(), what: what() });
    case 'grade':
      if (m.grade === null || m.grade === undefined) return words.parts('event.graded', { who: who(), what: what() });
      return words.parts('event.grade', { who: who(), what: what(), grade: element('b', 'grade', String(m.grade)) });
    case 'assignment':
      return m.due_date
        ? words.parts('event.assignment-due', { what: what(), due: words.date(new Date(m.due_date)) })
        : words.parts('event.assignment', { what: what() });
    case 'assignment_closed':
      return words.parts('event.assignment_closed', { what: what('event.Untitled') });
    case 'gap':
      return [words.say(words.has(`gap.${m.reason}`) ? `gap.${m.reason}` : 'gap.other', { n: m.count ?? undefined })];
  }
  return [element('b', '', String(m.text ?? m.message ?? m.title ?? m.type))]; // somebody's own type
}
