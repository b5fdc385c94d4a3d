// How the connection is, in words.

// The client's states, where this page has another word for them.
const SHOWN = { reconnecting: 'waiting', offline: 'waiting', 'signed-out': 'stopped', nobody: 'signed-out' };
const NOT_ALLOWED = new Set(['role_not_allowed', 'account_inactive', 'origin_not_allowed']);

const $ = (id) => document.getElementById(id);

export class Connection {
  #words;
  #last = { state: 'nobody' };
  #until = 0; // while waiting: when it connects again
  #caught = 0; // events since it began to catch up

  constructor(words) { this.#words = words; }

  /** What a code of the protocol means to the person at the page. */
  why(s) {
    const key = `why.${s.reason}`;
    return this.#words.has(key) ? this.#words.say(key) : s.detail ?? s.reason ?? '';
  }

  /** Shows a state, and answers its name. The words are a live region, the seconds beside them are not. */
  show(s) {
    this.#last = s;
    const name = SHOWN[s.state] ?? s.state;
    const place = $('connection');
    const before = place.dataset.state;
    if (name === 'catching-up' && before !== name) this.#caught = 0;
    this.#until = s.retryAt ?? 0;
    let key = `state.${name}`;
    if (name === 'stopped' && NOT_ALLOWED.has(s.reason)) key = 'state.not-allowed';
    const text = this.#words.say(key, { why: this.why(s) }).trim();
    // Going from one failed attempt to the next is not news.
    const retrying = name === 'connecting' && before === 'waiting';
    if (!retrying && $('state').textContent !== text) $('state').textContent = text;
    place.dataset.state = name;
    $('retry').hidden = name !== 'waiting';
    document.body.classList.toggle('stale', name !== 'live');
    this.tick();
    return name;
  }

  caught() { this.#caught++; }

  speak(words) {
    this.#words = words;
    this.show(this.#last);
  }

  tick() {
    let text = '';
    if (this.#until) text = this.#words.say('state.in', { n: Math.max(0, Math.ceil((this.#until - Date.now()) / 1000)) });
    else if (this.#last.state === 'catching-up' && this.#caught) {
      text = this.#last.behind > 1000
        ? this.#words.say('state.behind', { n: this.#caught, time: this.#words.span(this.#last.behind) })
        : this.#words.say('state.caught', { n: this.#caught });
    }
    if ($('countdown').textContent !== text) $('countdown').textContent = text;
  }
}
