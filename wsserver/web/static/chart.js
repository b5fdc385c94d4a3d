// Handed in and graded over time: a chart, and the same as a table.
import { Activity } from './activity.js';

const SPANS = {
  hour: [60, 60],
  day: [1800, 48],
  week: [10800, 56],
};
const HIGH = 190; // in pixels, as in style.css
const REDRAW = 1000; // at most this often, in ms

export class Chart {
  #root;
  #ask;
  #words;
  #filter;
  #activity;
  #plot = null;
  #span;
  #due = 0;
  #turn = 0;
  #drawn = false; // as far as there was something to draw with, and on
  #table;
  #watch;
  #dark = matchMedia('(prefers-color-scheme: dark)');
  #redress = () => { if (this.#drawn) this.#build(); };

  /** @param {HTMLElement} root  with .plot, .range, .table and .problem in it */
  constructor(root, ask, words, { filter = {}, span = 'day' } = {}) {
    this.#root = root;
    this.#ask = ask;
    this.#words = words;
    this.#filter = filter;
    this.#table = root.querySelector('details');
    this.#table.ontoggle = () => this.#tabulate();
    const range = root.querySelector('.range');
    range.value = span;
    range.onchange = () => this.load(range.value);
    this.#dark.addEventListener('change', this.#redress);
    this.#watch = new ResizeObserver(() => this.#size());
    this.#watch.observe(root.querySelector('.plot'));
    this.#span = span;
    this.#activity = new Activity(...SPANS[span]);
  }

  get activity() { return this.#activity; }

  async load(span = this.#span) {
    if (await this.count(span)) this.draw();
  }

  /** Asks how much happened when, without drawing it; false: something else was asked for meanwhile. */
  async count(span = this.#span) {
    this.#span = span;
    const turn = ++this.#turn;
    const activity = this.#activity = new Activity(...SPANS[span]);
    let problem = '';
    try {
      await activity.load(this.#ask, this.#filter);
      if (!activity.complete) problem = 'chart.incomplete';
    } catch {
      problem = 'chart.failed';
    }
    if (turn !== this.#turn) return false;
    const line = this.#root.querySelector('.problem');
    line.hidden = !problem;
    line.textContent = problem && this.#words.say(problem);
    return true;
  }

  /** Draws it, as soon as there is something to draw with. */
  async draw() {
    this.#drawn = true;
    const turn = this.#turn;
    await loaded();
    if (turn === this.#turn) this.#build();
  }

  add(m) {
    this.#activity.add(m);
    this.tick();
  }

  tick() {
    this.#due ||= setTimeout(() => {
      this.#due = 0;
      this.#activity.roll();
      this.#plot?.setData(this.#data());
      this.#tabulate();
    }, REDRAW);
  }

  speak(words) {
    this.#words = words;
    if (this.#drawn) this.#build();
  }

  close() {
    this.#turn++;
    clearTimeout(this.#due);
    this.#dark.removeEventListener('change', this.#redress);
    this.#watch.disconnect();
    this.#plot?.destroy();
    this.#plot = null;
  }

  #data() { return [this.#activity.times, this.#activity.counts('submission'), this.#activity.counts('grade')]; }

  #label(seconds) {
    const at = new Date(seconds * 1000);
    return this.#span === 'week' ? this.#words.date(at) : this.#words.time(at);
  }

  #build() {
    const { uPlot } = globalThis;
    const place = this.#root.querySelector('.plot');
    this.#plot?.destroy();
    this.#plot = null;
    this.#tabulate();
    if (!uPlot || !place.clientWidth) return;
    const style = getComputedStyle(this.#root);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour('--soft'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
    const line = (kind, more) => ({ label: this.#words.say(`chart.${kind}`), stroke: colour(`--${kind}`), width: 2, points: { show: false }, ...more });
    this.#plot = new uPlot({
      width: place.clientWidth,
      height: HIGH,
      legend: { show: false },
      padding: [8, 36, 0, 0], // room for half of the last label
      cursor: { show: false },
      scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(5, Math.ceil(max * 1.1))] } },
      series: [{}, line('submission', { fill: colour('--submission-fill') }), line('grade', { dash: [6, 4] })],
      axes: [
        { ...axis, grid: { show: false }, size: 30, gap: 8, space: 70, values: (_, splits) => splits.map((s) => this.#label(s)) },
        { ...axis, size: 40, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000], values: (_, splits) => splits.map((n) => this.#words.number(n)) },
      ],
    }, this.#data(), place);
  }

  #size() {
    const width = this.#root.querySelector('.plot').clientWidth;
    if (!width) return;
    if (this.#plot) {
      if (this.#plot.width !== width) this.#plot.setSize({ width, height: HIGH });
    } else if (this.#drawn) this.#build();
  }

  // #tabulate fills the table while somebody looks at it: what is not zero, the newest first.
  #tabulate() {
    if (!this.#table.open) return;
    const [times, submissions, grades] = this.#data();
    const rows = times.map((time, i) => [time, submissions[i], grades[i]]).filter(([, a, b]) => a || b).reverse();
    this.#table.querySelector('tbody').replaceChildren(...rows.map(([time, ...numbers]) => {
      const row = document.createElement('tr');
      const head = document.createElement('th');
      head.scope = 'row';
      head.textContent = this.#words.moment(new Date(time * 1000));
      row.append(head, ...numbers.map((n) => {
        const cell = document.createElement('td');
        cell.textContent = this.#words.number(n);
        return cell;
      }));
      return row;
    }));
  }
}

// loaded waits for uPlot, which is a script of the old kind.
async function loaded() {
  const script = document.getElementById('uplot');
  if (globalThis.uPlot || !script) return;
  await new Promise((done) => {
    script.addEventListener('load', done, { once: true });
    script.addEventListener('error', done, { once: true });
  });
}
