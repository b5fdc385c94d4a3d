// The dashboard page: signs in, connects, and shows what comes.
import { connect } from './schoolbell.js';
import { Feed } from './feed.js';

const STORE = 'schoolbell'; // in sessionStorage: {token, user, since, titles}, gone with the tab
const ANNOUNCE = 10_000; // a screen reader hears of new events at most this often, in ms

// What the codes of the protocol mean to the person at the page.
const REASONS = {
  connection_lost: 'Connection lost.',
  going_away: 'The server is restarting.',
  heartbeat_timeout: 'The connection went quiet.',
  slow_consumer: 'This page fell behind; nothing is lost.',
  protocol_violation: 'The server ended the connection because of something this page sent.',
  too_many_connections: 'Too many connections are open for this account.',
  not_ready: 'The server is still starting.',
  websocket_refused: 'The server answers, but WebSockets do not get through: perhaps a proxy in between.',
  unauthenticated: 'This token is not known. It may have been replaced by a newer login.',
  credentials_revoked: 'Your sign-in has ended. Please sign in again.',
  role_not_allowed: 'This page is not for people with the role of this account.',
  account_inactive: 'This account has been deactivated.',
  origin_not_allowed: 'The server does not accept connections from this address.',
};
// The client's states, where this page has another word for them.
const SHOWN = { reconnecting: 'waiting', offline: 'waiting', 'signed-out': 'stopped', nobody: 'signed-out' };
const NOT_ALLOWED = new Set(['role_not_allowed', 'account_inactive', 'origin_not_allowed']);

const $ = (id) => document.getElementById(id);

let token = ''; // '': by the cookie of the learning platform
let user = null; // whose cookie it is
let bell = null;
let feed = null;
let until = 0; // while waiting: when it connects again
let unannounced = 0;

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}

function save() {
  if (!bell) return sessionStorage.removeItem(STORE);
  sessionStorage.setItem(STORE, JSON.stringify({ token, user, since: feed?.start || bell?.cursor, titles: feed?.titles }));
}

// fromAddress takes the token out of …#token=KEY, and out of the address bar, so
// that it is in no history, bookmark or screenshot.
function fromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get('token');
  if (key !== null) history.replaceState(null, '', location.pathname + location.search);
  return key;
}

// byCookie signs in as whom the learning platform's cookie knows, where the gateway
// takes it; otherwise it asks for a token, and says why if there is a reason.
async function byCookie(kept, why) {
  let who = null;
  try {
    const answer = await fetch(new URL('api/session', document.baseURI), { cache: 'no-store', signal: AbortSignal.timeout(10_000) });
    if (answer.ok) who = (await answer.json()).user_id ?? null;
  } catch {
    // No answer: then there is nobody to sign in to, either.
  }
  if (bell) return; // somebody was faster with a token
  if (who === null) return signOut(why);
  signIn('', kept.token === '' && kept.user === who ? kept : {}, who);
}

function signIn(key, { since = '', titles = [] } = {}, who = null) {
  bell?.close();
  token = key;
  user = who;
  feed = new Feed($('feed'), (from, limit) => bell.history({ since: from, limit }), titles);
  for (const tile of document.querySelectorAll('.tile dd')) tile.textContent = '–';
  $('as-of').textContent = '';
  $('empty').hidden = false;
  $('email').textContent = $('role').textContent = '';
  $('me').hidden = false;
  $('sign-out').hidden = !token; // by a cookie, one signs out of the learning platform
  $('sign-in').hidden = true;
  $('dashboard').hidden = false;
  bell = connect({ token, since, storage: null }); // the feed knows where to resume from
  for (const type of ['welcome', 'metrics', 'event', 'gap']) bell.addEventListener(type, (event) => receive(event.detail));
  bell.addEventListener('state', (event) => state(event.detail));
  save();
}

function signOut(why) {
  bell?.close();
  bell = feed = user = null;
  token = '';
  save();
  $('feed').replaceChildren();
  $('me').hidden = true;
  $('dashboard').hidden = true;
  $('sign-in').hidden = false;
  $('why').hidden = !why;
  $('why').textContent = why ?? '';
  $('token').value = '';
  $('token').focus();
}

function receive(m) {
  switch (m.type) {
    case 'welcome':
      $('email').textContent = m.user_email;
      $('role').textContent = m.user_role;
      counts(m.metrics, m.timestamp);
      break;
    case 'metrics':
      counts(m, m.timestamp);
      break;
    default:
      feed.add(m, bell.cursor);
      $('empty').hidden = true;
      unannounced++;
  }
}

function counts(metrics, timestamp) {
  $('now').hidden = !metrics; // a student has none
  for (const tile of document.querySelectorAll('.tile')) {
    const n = metrics?.[tile.dataset.count];
    if (n !== undefined) tile.querySelector('dd').textContent = n.toLocaleString('en');
  }
  $('as-of').textContent = `as of ${new Date(timestamp).toLocaleTimeString()}`;
}

// state shows how the connection is. The words are a live region, the seconds
// beside them are not: nobody wants a countdown read out.
function state(s) {
  const name = SHOWN[s.state] ?? s.state;
  let words = {
    'signed-out': 'Signed out', connecting: 'Connecting…', 'catching-up': 'Catching up…', live: 'Live',
  }[name];
  const why = REASONS[s.reason] ?? s.detail ?? s.reason ?? '';
  until = s.retryAt ?? 0;
  if (name === 'waiting') words = `${why} Reconnecting`;
  if (name === 'stopped') {
    words = NOT_ALLOWED.has(s.reason) ? 'Not allowed' : 'Signed out';
    const kept = { token, user, since: bell?.cursor, titles: feed?.titles };
    signOut(why);
    // Whoever changed their password has a new cookie by now.
    if (s.reason === 'credentials_revoked' && kept.token === '') byCookie(kept, why);
  }
  // Going from one failed attempt to the next is not news.
  const retrying = name === 'connecting' && $('connection').dataset.state === 'waiting';
  if (!retrying && $('state').textContent !== words) $('state').textContent = words;
  $('connection').dataset.state = name;
  $('retry').hidden = name !== 'waiting';
  document.body.classList.toggle('stale', name !== 'live');
  countdown();
}

function countdown() {
  $('countdown').textContent = until ? `in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s` : '';
}

function announce() {
  if (!unannounced) return;
  $('announce').textContent = unannounced === 1 ? 'One new event' : `${unannounced} new events`;
  unannounced = 0;
}

$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const key = $('token').value.trim();
  $('token').value = '';
  if (key) signIn(key);
});
$('sign-out').addEventListener('click', () => {
  signOut();
  state({ state: 'nobody' });
});
$('retry').addEventListener('click', () => bell?.retry());
addEventListener('hashchange', () => {
  const key = fromAddress();
  if (key) signIn(key);
});
addEventListener('pagehide', save);
setInterval(countdown, 1000);
setInterval(() => feed?.tick(), 5000);
setInterval(announce, ANNOUNCE);

const given = fromAddress();
const kept = load();
if (given) signIn(given, given === kept.token ? kept : {});
else if (kept.token) signIn(kept.token, kept);
else byCookie(kept);
