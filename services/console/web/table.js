// Tables: each chart has one beside it with the same numbers.

import { h } from './dom.js';
import { whole } from './words.js';

/** A date stays on one line. */
const DAY = /^(\d{4}-\d{2}-\d{2}|\d{1,2} \p{L}+ \d{4})$/u;

/** Rows from which a table scrolls in its frame, under its own headings. */
const LONG = 30;

/** What stands where a number is not told. */
export const withheld = () => h('span', { class: 'withheld' }, 'withheld');

/**
 * A table in a frame that scrolls by itself. A column is `{ title, number, head, hint }`: `number` to the right, `head` a row's
 * own heading. Cells are texts or elements.
 */
export function table(caption, columns, rows, { id } = {}) {
  const heading = (column) =>
    h('th', { scope: 'col', class: column.number ? 'number' : null, title: column.hint }, column.title);
  const cell = (value, index) => {
    const { number, head } = columns[index];
    const attributes = { class: number ? 'number' : DAY.test(value) ? 'day' : null };
    return head ? h('th', { scope: 'row', ...attributes }, value) : h('td', attributes, value);
  };
  return h('div', { class: rows.length > LONG ? 'scroll long' : 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', { id },
      h('caption', {}, caption),
      h('thead', {}, h('tr', {}, columns.map(heading))),
      h('tbody', {}, rows.map((row) => h('tr', {}, row.map(cell))))));
}

/** A number with a bar of its share behind it; the number says it all, the bar is for the eye. */
export function bar(number, most, text = whole(number)) {
  const fill = h('span', { class: 'fill' });
  fill.style.inlineSize = `${most > 0 ? Math.min(100, (100 * number) / most) : 0}%`;
  return h('span', { class: 'bar' }, h('span', { class: 'track', 'aria-hidden': 'true' }, fill), h('span', { class: 'text' }, text));
}
