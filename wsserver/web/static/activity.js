// How much happened when: counted by the gateway up to now, and here from then on.
import { after } from './schoolbell.js';

const KINDS = ['submission', 'grade', 'assignment', 'assignment_closed'];

export class Activity {
  #step;
  #from = 0;
  #counts = {};
  #length;
  #cursor = '';
  complete = true;
  recent = '';

  /** So many steps of so many seconds, the last one running. */
  constructor(step, length) {
    this.#step = step * 1000;
    this.#length = length;
    this.clear();
  }

  /** Up to where the gateway counted; '': it has not. */
  get cursor() { return this.#cursor; }

  clear() {
    this.#from = Math.floor(Date.now() / this.#step) * this.#step - this.#step * (this.#length - 1);
    for (const kind of KINDS) this.#counts[kind] = new Array(this.#length).fill(0);
    this.#cursor = '';
  }

  /** Takes what the gateway counted. What was counted here meanwhile is in it, up to its cursor. */
  async load(ask, filter = {}) {
    this.roll();
    const missed = (this.#missed = []);
    const from = this.#from;
    let answer;
    try {
      answer = await ask.get('api/activity', { from: new Date(from).toISOString(), step: this.#step / 1000, ...filter });
    } finally {
      this.#missed = null;
    }
    this.clear();
    const skipped = Math.round((this.#from - from) / this.#step);
    for (const kind of KINDS) {
      const counts = (answer.counts[kind] ?? []).slice(skipped, skipped + this.#length);
      counts.forEach((n, i) => { this.#counts[kind][i] = n; });
    }
    this.#cursor = answer.cursor;
    this.complete = answer.complete;
    this.recent = answer.recent;
    for (const m of missed) this.add(m);
    return this;
  }

  #missed = null; // what came while the gateway counted

  add(m) {
    if (this.#missed) this.#missed.push(m);
    if (this.#missed?.length > 5000) this.#missed.shift();
    if (!this.#counts[m.type] || !after(m.id, this.#cursor)) return;
    this.roll();
    const i = Math.floor((Date.parse(m.timestamp) - this.#from) / this.#step);
    if (i >= 0) this.#counts[m.type][Math.min(i, this.#length - 1)]++;
  }

  /** Lets go of what is too old. */
  roll() {
    const late = Math.floor((Date.now() - this.#from) / this.#step) - (this.#length - 1);
    if (late <= 0) return;
    this.#from += late * this.#step;
    for (const kind of KINDS) {
      const counts = this.#counts[kind];
      counts.splice(0, late);
      while (counts.length < this.#length) counts.push(0);
    }
  }

  /** Of several kinds together. */
  counts(...kinds) {
    const all = new Array(this.#length).fill(0);
    for (const kind of kinds) this.#counts[kind].forEach((n, i) => { all[i] += n; });
    return all;
  }

  sum(...kinds) { return this.counts(...kinds).reduce((a, b) => a + b, 0); }

  /** When each step begins, in seconds. */
  get times() { return Array.from({ length: this.#length }, (_, i) => (this.#from + i * this.#step) / 1000); }
}

export { KINDS };
