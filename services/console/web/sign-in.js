// The first page: a token, and what its role may do.

import { ask, Refused } from './api.js';
import { h } from './dom.js';
import { refusal } from './problem.js';
import { remember, ROLES } from './session.js';

/** The page's elements; `done` is called once somebody is signed in. `why` is the refusal that ended the last session. */
export function signIn(done, why) {
  const input = h('input', {
    id: 'token', type: 'password', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', required: true,
    placeholder: 'imq_…', 'aria-describedby': 'token-help',
  });
  const shows = h('input', { id: 'shows', type: 'checkbox', onchange: () => (input.type = shows.checked ? 'text' : 'password') });
  const button = h('button', { class: 'primary', id: 'sign-in' }, 'Sign in');
  const problem = h('div', {}, why && refusal(why));

  async function submit(event) {
    event.preventDefault();
    const text = input.value.trim();
    button.disabled = true;
    problem.replaceChildren();
    try {
      // Before anything is sent: only what can travel in a header.
      if (!/^[\x21-\x7e]+$/.test(text)) {
        throw new Refused({ status: 401, code: 'unauthenticated', title: 'That is no token', detail: 'A token is imq_ and 43 letters, digits, - and _' });
      }
      const told = await ask('v1/session', text);
      remember(text, told);
      done();
    } catch (error) {
      problem.replaceChildren(refusal(error));
      input.setAttribute('aria-invalid', 'true');
      input.focus();
    } finally {
      button.disabled = false;
    }
  }

  return [
    h('div', { class: 'door' },
      h('h1', {}, 'What do printers tell, where their owners said yes?'),
      h('p', { class: 'lead' }, 'Answers about groups of printers, each with its uncertainty and with what protects the people behind it. Sign in to ask.'),
      h('form', { class: 'card', onsubmit: submit, novalidate: true },
        h('label', { for: 'token' }, 'Token'),
        input,
        h('p', { id: 'token-help', class: 'hint' },
          'Your operator made it for you; it starts with imq_. It stays in this tab, is forgotten when the tab closes, and is never in a link.'),
        h('label', { class: 'check' }, shows, 'Show the token'),
        button,
        problem),
      h('h2', {}, 'What each role may do'),
      h('dl', { class: 'roles' },
        Object.entries(ROLES).map(([role, text]) => h('div', {}, h('dt', {}, role), h('dd', {}, text))))),
  ];
}
