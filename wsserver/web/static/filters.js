// The filters of the feed, pause and search.
const $ = (id) => document.getElementById(id);
const LISTED = 300;

export class Filters {
  #feed;
  #words;
  #assignments;
  #listed = '';

  /** @param {() => [string, string][]} assignments  those that are known besides the feed's */
  constructor(feed, words, assignments) {
    this.#feed = feed;
    this.#words = words;
    this.#assignments = assignments;
    for (const id of ['by-kind', 'by-assignment', 'by-person', 'search']) $(id).oninput = () => this.apply();
    for (const id of ['by-assignment', 'by-person']) $(id).onfocus = $(id).onpointerdown = () => this.list();
    $('clear').onclick = () => {
      for (const id of ['by-kind', 'by-assignment', 'by-person', 'search']) $(id).value = '';
      this.apply();
      $('by-kind').focus();
    };
    $('pause').onclick = () => {
      feed.pause(!feed.paused);
      this.show();
    };
    for (const id of ['by-kind', 'by-assignment', 'by-person', 'search']) $(id).value = '';
    this.apply();
    this.show();
  }

  speak(words) {
    this.#words = words;
    this.#listed = '';
    this.list();
    this.show();
  }

  apply() {
    const filter = { kind: $('by-kind').value, assignment: $('by-assignment').value, person: $('by-person').value, text: $('search').value };
    this.active = Object.values(filter).some(Boolean);
    $('clear').hidden = !this.active;
    this.#feed.filter(filter);
  }

  /** Brings the lists of assignments and people up to date, for whoever opens one. */
  list() {
    const fill = (id, all) => {
      const select = $(id);
      const value = select.value;
      const compare = new Intl.Collator(this.#words.language, { numeric: true }).compare;
      const options = [...new Map(all)].sort((a, b) => compare(a[1], b[1])).slice(0, LISTED).map(([key, name]) => {
        const option = document.createElement('option');
        option.value = key;
        option.textContent = name;
        return option;
      });
      select.replaceChildren(select.options[0], ...options);
      select.value = value;
      if (select.selectedIndex < 0) select.value = '';
    };
    const assignments = [...this.#assignments(), ...this.#feed.assignments];
    const people = this.#feed.people;
    const listed = JSON.stringify([assignments, people]);
    if (listed === this.#listed) return;
    this.#listed = listed;
    fill('by-assignment', assignments);
    fill('by-person', people);
  }

  show() {
    const paused = this.#feed.paused;
    $('pause').textContent = this.#words.say(paused ? 'feed.resume' : 'feed.pause');
    $('pause').setAttribute('aria-pressed', String(paused));
    $('paused').textContent = paused ? this.#words.say('feed.paused', { n: this.#feed.skipped }) : '';
    $('empty').hidden = this.#feed.size > 0;
    $('none').hidden = !(this.#feed.size > 0 && this.#feed.rows === 0);
  }
}
