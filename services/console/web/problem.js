// A refusal in words: what was wrong, and what to do next.

import { Refused } from './api.js';
import { h, icon } from './dom.js';
import { plural, whatNext, whyWithheld } from './words.js';

/** A box that says why there is nothing; `again` is called by its button, where trying again may help. */
export function refusal(error, again) {
  const refused = error instanceof Refused ? error : new Refused({ code: 'broken', title: 'This page failed', detail: String(error) });
  const { code, title, detail, rest } = refused;
  const wait = code === 'rate_limited' && rest.wait ? `Wait ${plural(Number(rest.wait), 'second', 'seconds')}, then ask again.` : null;
  const withheld = code === 'below_threshold' && rest.k ? h('p', {}, whyWithheld(rest.k)) : null;
  const box = h('section', { class: 'refusal', role: 'alert', 'data-code': code },
    h('h2', {}, icon('warn'), title),
    detail && h('p', { class: 'detail' }, sentence(detail)),
    withheld,
    h('p', { class: 'next' }, wait ?? whatNext(code)));
  const helps = ['unreachable', 'rate_limited', 'too_large', 'not_published', 'internal'].includes(code);
  if (again && helps) box.append(h('button', { type: 'button', onclick: again }, 'Try again'));
  return box;
}

/** The server's texts begin small and end without a full stop. */
function sentence(text) {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
