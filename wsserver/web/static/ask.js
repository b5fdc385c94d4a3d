// Questions to the gateway, one after the other: it counts one overview of a person at a time.
const PATIENCE = 10_000;
const TRIES = 4;

export class Ask {
  #base;
  #token;
  #last = Promise.resolve();
  #stopped = new AbortController();

  /** @param {() => string} token  '': by the cookie of the learning platform */
  constructor(base, token) {
    this.#base = base;
    this.#token = token;
  }

  stop() { this.#stopped.abort(); }

  /** What the gateway answers; throws an error with a status otherwise. */
  get(path, query = {}) {
    const answer = this.#last.then(() => this.#get(path, query));
    this.#last = answer.catch(() => {});
    return answer;
  }

  async #get(path, query) {
    const address = new URL(path, this.#base);
    for (const key in query) if (query[key] != null) address.searchParams.set(key, query[key]);
    const token = this.#token();
    for (let tries = 1; ; tries++) {
      const answer = await fetch(address, {
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        credentials: token ? 'same-origin' : 'include',
        cache: 'no-store',
        signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(PATIENCE)]),
      });
      if (answer.ok) return answer.json();
      const wait = Number(answer.headers.get('Retry-After'));
      if (answer.status !== 429 || !wait || tries === TRIES) throw Object.assign(new Error(`the gateway answered ${answer.status}`), { status: answer.status });
      await new Promise((over) => setTimeout(over, wait * 1000)); // another tab was faster
    }
  }
}
