// What the browser keeps between two visits: the language, whether to notify, and how far
// each person had read. No token and nothing of what happened is ever kept here.
const KEY = 'schoolbell:page';
const PEOPLE = 8; // on a shared computer

function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

function write(change) {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...read(), ...change }));
  } catch {
    // Forbidden or full: then the next visit begins anew.
  }
}

export const preference = (name) => read()[name];
export const prefer = (name, value) => write({ [name]: value });

/** When somebody last looked, in ms; undefined: never, here. */
export const lastSeen = (user) => read().seen?.find(([id]) => id === user)?.[1];

export function seen(user, at) {
  write({ seen: [[user, at], ...(read().seen ?? []).filter(([id]) => id !== user)].slice(0, PEOPLE) });
}
