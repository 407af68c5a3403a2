// The frame: who is signed in, which page is shown. A page's state is in the address after `#`; the token never is.

import { ask, Refused } from './api.js';
import * as compliance from './compliance.js';
import { h, loading, say } from './dom.js';
import * as explore from './explore.js';
import * as overview from './overview.js';
import { refusal } from './problem.js';
import { current, forget, may, remember, ROOMS, token } from './session.js';
import { signIn } from './sign-in.js';

const PAGES = { overview, explore, compliance };
const main = document.getElementById('main');

/** What is shown now: its name, and how to change its state without building it anew. */
let shown = { name: null, update: null };
/** The refusal that ended the last session. */
let ended = null;

/** `#/explore?metric=x` as a page's name and its state. */
function place() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { name: path || 'overview', state: new URLSearchParams(query) };
}

function menu(name) {
  const session = current();
  const rooms = session ? ROOMS.filter((room) => may(room.name, session.role)) : [];
  const link = (room) =>
    h('a', { href: `#/${room.name}`, 'aria-current': room.name === name ? 'page' : null }, room.title);
  document.getElementById('rooms').replaceChildren(...rooms.map(link));
  const who = document.getElementById('who');
  who.replaceChildren();
  if (!session) return;
  const until = session.expires ? `, until ${session.expires}` : '';
  who.append(
    h('span', { class: 'name', title: `${session.role}${until}` }, h('b', {}, session.name), ` ${session.role}`),
    h('button', { type: 'button', class: 'quiet', id: 'sign-out', onclick: () => forget() }, 'Sign out'),
  );
}

/** Puts a page up and its heading into focus, so that reading starts there. */
function open(name, title, ...content) {
  document.title = `${title} · Imprimatur`;
  shown = { name, update: null };
  main.replaceChildren(...content);
  scrollTo(0, 0);
}

function heading() {
  const first = main.querySelector('h1');
  if (!first) return;
  first.tabIndex = -1;
  first.focus({ preventScroll: true });
}

/** Signs in again after a reload; `null` where there is nobody. */
async function session() {
  if (current() || !token()) return current();
  open(null, 'Imprimatur', loading('Signing in'));
  try {
    const told = await ask('v1/session');
    remember(token(), told);
  } catch (error) {
    if (error instanceof Refused && error.status === 401) return null;
    open(null, 'Imprimatur', h('h1', {}, 'Not signed in'), refusal(error, show));
    throw error;
  }
  return current();
}

async function show() {
  const { name, state } = place();
  let who;
  try {
    who = await session();
  } catch {
    return;
  }
  menu(name);
  if (who) ended = null;
  if (!who) {
    open(null, 'Sign in', ...signIn(show, ended));
    heading();
    return;
  }
  if (shown.name === name && shown.update) {
    shown.update(state);
    return;
  }
  const room = ROOMS.find((one) => one.name === name);
  const first = shown.name === null;
  if (!room) {
    open(name, 'No such page', h('h1', {}, 'No such page'), h('p', {}, 'Choose one from the menu.'));
  } else if (!may(name, who.role)) {
    const forbidden = new Refused({
      status: 403, code: 'forbidden', title: 'Not for this role', detail: `A token of role ${who.role} may not see this page.`,
    });
    open(name, room.title, h('h1', {}, room.title), refusal(forbidden));
  } else {
    open(name, room.title);
    shown.update = PAGES[name].show(main, state) ?? null;
  }
  if (!first) heading();
  say(`${document.title}`);
}

addEventListener('hashchange', show);
addEventListener('signed-out', ({ detail }) => {
  shown = { name: null, update: null };
  ended = detail;
  show();
});
document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});

show();
