// The four numbers, and under each what happened in the last hour.
import { Activity } from './activity.js';

const STEP = 120; // seconds of one bar
const BARS = 30;
const TALL = 24;
const SVG = 'http://www.w3.org/2000/svg';

// What each number is called, and which events are drawn under it.
export const TILES = [
  { count: 'ungraded_submissions', title: 'tile.ungraded', hour: 'hour.grade', kinds: ['grade'] },
  { count: 'pending_submissions', title: 'tile.pending', hour: 'hour.submission', kinds: ['submission'] },
  { count: 'active_students', title: 'tile.students', hour: 'hour.all', kinds: ['submission', 'grade', 'assignment', 'assignment_closed'] },
  { count: 'total_assignments', title: 'tile.assignments', hour: 'hour.assignment', kinds: ['assignment', 'assignment_closed'] },
];

export class Tiles {
  #tiles = [];
  #words;
  #frame = 0;
  #metrics = null;
  #counted = false; // the gateway has said how much happened before
  activity = new Activity(STEP, BARS);

  constructor(list, words) {
    this.#words = words;
    list.replaceChildren();
    for (const tile of TILES) {
      const e = document.createElement('div');
      e.className = 'tile';
      e.dataset.count = tile.count;
      const title = document.createElement('dt');
      const number = document.createElement('dd');
      number.textContent = '–';
      const hour = document.createElement('dd');
      hour.className = 'hour';
      const text = document.createElement('span');
      const { svg, bars } = spark();
      hour.append(svg, text);
      e.append(title, number, hour);
      list.append(e);
      this.#tiles.push({ ...tile, titleOf: title, number, text, bars });
    }
    this.speak(words);
  }

  speak(words) {
    this.#words = words;
    for (const tile of this.#tiles) tile.titleOf.textContent = words.say(tile.title);
    this.show(this.#metrics);
    this.#draw();
  }

  show(metrics) {
    this.#metrics = metrics;
    for (const tile of this.#tiles) {
      const n = metrics?.[tile.count];
      tile.number.textContent = n === undefined ? '–' : this.#words.number(n);
    }
  }

  async load(ask) {
    await this.activity.load(ask);
    this.#counted = true;
    this.tick();
  }

  add(m) {
    this.activity.add(m);
    this.tick();
  }

  tick() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    this.activity.roll();
    for (const tile of this.#tiles) {
      const counts = this.activity.counts(...tile.kinds);
      const sum = counts.reduce((a, b) => a + b, 0);
      const most = Math.max(4, ...counts);
      tile.bars.forEach((bar, i) => {
        const high = counts[i] ? Math.max(2, (counts[i] / most) * TALL) : 1;
        bar.setAttribute('y', String(TALL - high));
        bar.setAttribute('height', String(high));
        bar.setAttribute('class', counts[i] ? '' : 'none');
      });
      const text = this.#counted ? this.#words.say(tile.hour, { n: sum }) : '';
      if (tile.text.textContent !== text) tile.text.textContent = text;
    }
  }
}

// spark is a row of bars; the words beside it say the same.
function spark() {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${BARS * 4} ${TALL}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('aria-hidden', 'true');
  const bars = Array.from({ length: BARS }, (_, i) => {
    const bar = document.createElementNS(SVG, 'rect');
    bar.setAttribute('x', String(i * 4));
    bar.setAttribute('width', '3');
    svg.append(bar);
    return bar;
  });
  return { svg, bars };
}
