// What somebody hears of who does not look: a screen reader, a desktop, somebody who comes back.
import { KINDS, Activity } from './activity.js';
import { preference, prefer, lastSeen, seen } from './keep.js';
import { sentence } from './words.js';

const ANNOUNCE = 10_000; // a screen reader, or a desktop, hears of new events at most this often, in ms
const AWAY = 5 * 60_000; // who was away for less has missed nothing
const LONG = 7 * 86400; // how far back is counted, in seconds
const STEPS = 400;

const $ = (id) => document.getElementById(id);

export class News {
  #words;
  #user = null;
  #unannounced = 0;
  #waiting = []; // for the desktop, a few
  #unnotified = 0;
  #note = null; // what the desktop shows
  #left = 0; // since when nobody looks
  #titles = new Map();
  #away = null; // {since, counts} of what is shown

  constructor(words) {
    this.#words = words;
    $('notify').checked = preference('notify') === true && globalThis.Notification?.permission === 'granted';
    $('notify').disabled = !globalThis.Notification;
    $('notify').onchange = () => this.#ask();
    $('away-close').onclick = () => {
      $('away').hidden = true;
      this.#away = null;
      $('feed-title').focus();
    };
    setInterval(() => this.#announce(), ANNOUNCE);
  }

  speak(words) {
    this.#words = words;
    this.#show();
  }

  /** Somebody signed in: what happened since they last looked? */
  async welcome(user, ask) {
    if (this.#user === user) return;
    this.#user = user;
    const since = lastSeen(user);
    this.look();
    if (since && Date.now() - since > AWAY) await this.#count(since, ask);
  }

  /** Nobody is signed in any more. */
  goodbye() {
    this.look();
    this.#user = null;
    this.#unannounced = 0;
    this.#forget();
    $('away').hidden = true;
    this.#away = null;
  }

  /** Somebody looks now. */
  look() {
    if (this.#user !== null && !document.hidden) seen(this.#user, Date.now());
  }

  hidden() {
    this.#left = Date.now();
    if (this.#user !== null) seen(this.#user, this.#left);
  }

  async back(ask) {
    const since = this.#left;
    this.#left = 0;
    this.look();
    this.#forget(); // it is on the page
    if (this.#user !== null && since && Date.now() - since > AWAY) await this.#count(since, ask);
  }

  add(m, titles) {
    this.#unannounced++;
    this.#titles = titles;
    if (!document.hidden || !$('notify').checked) return;
    this.#unnotified++;
    if (this.#waiting.length < 3) this.#waiting.push(m);
  }

  async #count(since, ask) {
    const seconds = Math.min(LONG, (Date.now() - since) / 1000);
    const activity = new Activity(Math.max(1, Math.ceil(seconds / STEPS)), STEPS);
    try {
      await activity.load(ask);
    } catch {
      return; // nothing is said that is not known
    }
    const from = since / 1000;
    const counts = {};
    for (const kind of KINDS) {
      const all = activity.counts(kind);
      counts[kind] = activity.times.reduce((sum, at, i) => (at >= from ? sum + all[i] : sum), 0);
    }
    this.#away = { since, counts };
    this.#show();
  }

  #show() {
    if (!this.#away) return;
    const { since, counts } = this.#away;
    const parts = KINDS.filter((kind) => counts[kind]).map((kind) => this.#words.say(`count.${kind}`, { n: counts[kind] }));
    $('away').hidden = parts.length === 0;
    $('away-title').textContent = this.#words.say('away.title', { time: this.#words.moment(new Date(since)) });
    $('away-counts').replaceChildren(...parts.map((part) => {
      const item = document.createElement('li');
      item.textContent = part;
      return item;
    }));
  }

  #announce() {
    this.look();
    if (this.#unannounced) $('announce').textContent = this.#words.say('feed.news', { n: this.#unannounced });
    this.#unannounced = 0;
    if (!this.#unnotified) return;
    const lines = this.#waiting.map((m) => sentence(m, this.#words, this.#titles).map((part) => part.textContent ?? part).join(''));
    const title = this.#words.say('feed.news', { n: this.#unnotified });
    this.#forget();
    try {
      const note = this.#note = new Notification(title, { body: lines.join('\n'), tag: 'schoolbell', icon: 'icon.svg' });
      note.onclick = () => {
        focus();
        note.close();
      };
    } catch {
      // Some phones allow notifications to service workers only.
    }
  }

  // #forget takes back what the desktop shows, and what it was to be shown.
  #forget() {
    this.#note?.close();
    this.#note = null;
    this.#waiting = [];
    this.#unnotified = 0;
  }

  async #ask() {
    const wanted = $('notify').checked;
    if (wanted && Notification.permission !== 'granted') $('notify').checked = await Notification.requestPermission() === 'granted';
    prefer('notify', $('notify').checked);
    $('notify-problem').hidden = !wanted || $('notify').checked;
  }
}
