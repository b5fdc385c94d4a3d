// The dashboard page: signs in, connects, and shows what comes.
import { after, connect } from './schoolbell.js';
import { Ask } from './ask.js';
import { Assignments, One } from './assignments.js';
import { Chart } from './chart.js';
import { Connection } from './connection.js';
import { Feed } from './feed.js';
import { Filters } from './filters.js';
import { preference, prefer } from './keep.js';
import { News } from './news.js';
import { Tiles } from './tiles.js';
import { LANGUAGES, Words, choose } from './words.js';

const STORE = 'schoolbell'; // in sessionStorage: {token, user, since, titles}, gone with the tab
const RECENT = 60; // events that a new tab begins with
const AGAIN = 1000; // between two refreshes, in ms
const BETWEEN = 1000; // … and that may have happened until it is connected

const $ = (id) => document.getElementById(id);

let words = new Words(choose([preference('language'), ...navigator.languages]));
let token = ''; // '': by the cookie of the learning platform
let user = null; // whose cookie it is
let bell = null;
let ask = null;
let feed = null;
let filters = null;
let tiles = null;
let chart = null;
let assignments = null;
let one = null; // the page of one assignment
let began = null; // what was asked for before the first welcome: until where that is known; '': it could not be had
let begun = false; // with a welcome
let wanted = false; // a refresh
let refreshing = false;
let latest = null; // {metrics, role, timestamp}
const connection = new Connection(words);
const news = new News(words);

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(STORE)) ?? {};
  } catch {
    return {};
  }
}

function save() {
  if (!bell) return sessionStorage.removeItem(STORE);
  sessionStorage.setItem(STORE, JSON.stringify({ token, user, since: feed?.start || bell?.cursor, titles: feed?.titles && [...feed.titles] }));
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
  leave();
  token = key;
  user = who;
  begun = false;
  ask = new Ask(document.baseURI, () => token);
  feed = new Feed($('feed'), (from, limit) => bell.history({ since: from, limit }), words, titles);
  tiles = new Tiles($('tiles'), words);
  assignments = new Assignments($('assignments'), ask, words);
  chart = new Chart($('chart'), ask, words);
  filters = new Filters(feed, words, () => assignments.all.map((a) => [String(a.assignment_id), a.title]));
  feed.onshown = () => filters.show();
  $('as-of').textContent = '';
  $('email').textContent = $('role').textContent = '';
  $('me').hidden = $('delay').hidden = false;
  $('sign-out').hidden = !token; // by a cookie, one signs out of the learning platform
  $('sign-in').hidden = true;
  $('dashboard').hidden = false;
  bell = connect({ token, since, storage: null }); // the feed knows where to resume from
  for (const type of ['welcome', 'metrics', 'event', 'gap']) bell.addEventListener(type, (event) => receive(event.detail, since));
  began = begin(since); // at once: it does not wait for the connection
  bell.addEventListener('state', (event) => state(event.detail));
  save();
  route();
}

// leave lets go of whoever is signed in.
function leave() {
  bell?.close();
  ask?.stop();
  chart?.close();
  assignments?.close();
  one?.close();
  bell = ask = feed = filters = tiles = chart = assignments = one = user = latest = began = null;
  token = '';
  news.goodbye();
}

function signOut(why) {
  leave();
  save();
  $('feed').replaceChildren();
  $('me').hidden = $('delay').hidden = true;
  $('latency').textContent = '';
  $('dashboard').hidden = true;
  $('sign-in').hidden = false;
  $('why').hidden = !why;
  $('why').textContent = why ?? '';
  $('token').value = '';
  $('token').focus();
}

function receive(m, since) {
  switch (m.type) {
    case 'welcome':
      latest = { metrics: m.metrics, timestamp: m.timestamp, role: m.user_role };
      $('email').textContent = m.user_email;
      counts();
      news.welcome(m.user_id, ask);
      if (begun) refresh();
      else meet(m.cursor, since);
      begun = true;
      break;
    case 'metrics':
      latest = { ...latest, metrics: m, timestamp: m.timestamp };
      counts();
      break;
    default:
      connection.caught();
      feed.add(m, bell.cursor);
      one?.add(m, bell.cursor);
      tiles.add(m);
      chart.add(m);
      assignments.stale();
      news.add(m, feed.titles);
      if (m.type === 'gap' && begun) refresh(); // the bars and the chart count what it stands for
  }
}

const parts = () => ({ ask, feed, tiles, chart, assignments });

// begin asks for what happened before: what is shown first is asked for first. It answers
// up to where that is known, '' if it cannot be had now.
async function begin(since) {
  const mine = parts();
  const of = () => ask === mine.ask;
  await mine.chart.count();
  const { cursor } = mine.chart.activity;
  if (of() && cursor && !since) await fill(mine);
  if (of()) await mine.tiles.load(mine.ask).catch(() => {});
  if (of()) mine.chart.draw(); // which takes longer than all numbers together
  if (of()) await mine.assignments.load();
  return cursor;
}

// fill lets a new tab begin with what happened last.
async function fill(mine) {
  let { recent } = mine.chart.activity;
  try {
    if (mine.chart.activity.sum('submission', 'grade', 'assignment', 'assignment_closed') === 0) {
      const from = new Date(Date.now() - 7 * 86400_000).toISOString();
      ({ recent } = await mine.ask.get('api/activity', { from, step: 86400 }));
    }
    if (!recent) return;
    const page = await mine.ask.get('api/events', { since: recent, limit: RECENT });
    if (ask === mine.ask && !page.gap) mine.feed.fill(page.events, recent);
  } catch {
    // Then it begins with what happens next.
  }
}

// meet closes the gap between what begin knows and what the connection tells: what
// happened after the one and before the other.
async function meet(cursor, since) {
  const mine = parts();
  const known = await began;
  if (ask !== mine.ask) return;
  if (!known) return void begin(since); // the gateway was not there
  if (since || !after(cursor, known)) return; // who resumes is told everything
  try {
    const page = await mine.ask.get('api/events', { since: known, limit: BETWEEN });
    if (ask !== mine.ask) return;
    if (page.gap || (page.more && !after(page.cursor, cursor))) return void begin(since);
    const between = page.events.filter((m) => !after(m.id, cursor));
    mine.feed.fill(between, known);
    for (const m of between) for (const part of [mine.tiles, mine.chart]) part.add(m);
  } catch {
    begin(since);
  }
}

// refresh is after a cut: what was missed has been told, but for what a gap stands for.
// However many gaps there are, one refresh runs at a time, and one more behind it.
async function refresh() {
  wanted = true;
  if (refreshing) return;
  refreshing = true;
  while (wanted && ask) {
    wanted = false;
    const mine = parts();
    await mine.tiles.load(mine.ask).catch(() => {});
    if (ask === mine.ask) await mine.chart.load();
    if (ask === mine.ask) await mine.assignments.load();
    if (wanted) await new Promise((over) => setTimeout(over, AGAIN));
  }
  refreshing = false;
}

function counts() {
  if (!latest) return;
  const { metrics, timestamp, role } = latest;
  $('now').hidden = !metrics; // a student has none
  tiles?.show(metrics);
  $('role').textContent = words.has(`role.${role}`) ? words.say(`role.${role}`) : role ?? '';
  $('intro').textContent = words.has(`intro.${role}`) ? words.say(`intro.${role}`) : '';
  $('as-of').textContent = words.say('now.as-of', { time: words.time(new Date(timestamp)) });
}

function state(s) {
  if (connection.show(s) !== 'stopped') return;
  const why = connection.why(s);
  const kept = { token, user, since: bell?.cursor, titles: feed && [...feed.titles] };
  signOut(why);
  // Whoever changed their password has a new cookie by now.
  if (s.reason === 'credentials_revoked' && kept.token === '') byCookie(kept, why);
}

// route shows what the address asks for: everything, or one assignment.
function route() {
  const id = new URLSearchParams(location.hash.slice(1)).get('assignment');
  one?.close();
  one = null;
  $('all').hidden = Boolean(id);
  $('one').hidden = !id;
  if (!id || !bell) return;
  one = new One($('one'), ask, words, id, (from, limit) => bell.history({ since: from, limit }));
  one.load();
  scrollTo(0, 0);
  $('back').focus({ preventScroll: true });
}

function speak(language) {
  words = new Words(language);
  document.documentElement.lang = language;
  words.fill(document);
  for (const part of [connection, news, feed, filters, tiles, chart, assignments, one]) part?.speak(words);
  $('language').value = language;
  counts();
}

for (const [name, { language }] of Object.entries(LANGUAGES)) $('language').add(new Option(language, name));
$('language').onchange = () => {
  prefer('language', $('language').value);
  speak($('language').value);
};
$('measure').onclick = async () => {
  const ms = await bell?.latency();
  $('latency').textContent = ms == null ? words.say('settings.unmeasured') : words.say('settings.measured', { n: Math.round(ms * 10) / 10 });
};
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
  else if (bell) route();
});
addEventListener('pagehide', save);
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return news.hidden();
  news.back(ask);
  assignments?.stale();
});
setInterval(() => connection.tick(), 1000);
setInterval(() => {
  for (const part of [feed, one, tiles, chart]) part?.tick();
}, 5000);

speak(words.language);
const given = fromAddress();
const kept = load();
if (given) signIn(given, given === kept.token ? kept : {});
else if (kept.token) signIn(kept.token, kept);
else byCookie(kept);
