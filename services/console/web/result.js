// An answer on the page: what was asked, chart, table, what was withheld and why, how to ask it elsewhere.

import { axis, binUnit, isTime, kind, place, placeLong, point, times as allTimes, values, writer } from './answer.js';
import { answerPath, download } from './api.js';
import * as chart from './chart.js';
import { h, icon, mark, say, snippet } from './dom.js';
import { refusal } from './problem.js';
import { table, withheld } from './table.js';
import { day, digitsOf, duration, fine, longDay, moment, plural, spaced, title, whole, whyWithheld } from './words.js';

/** Small charts that are shown before a reader asks for all. */
const PANELS_MOST = 6;

/** The whole result as elements. `orders` has the values of dimensions in the contract's order. */
export function result(answer, question, orders) {
  const known = kind(answer) === 'histogram' ? histogram(answer) : numbers(answer, orders);
  return h('article', { class: 'result', 'aria-labelledby': 'result-title' },
    h('header', {},
      h('h2', { id: 'result-title' }, answer.title, answer.by.length ? ` by ${answer.by.map(title).join(', ').toLowerCase()}` : ''),
      only(question),
      h('p', { class: 'estimand' }, answer.estimand),
      answer.synthetic && h('p', {}, mark('warn', 'Synthetic fleet: no printer told any of this.')),
      tags(answer)),
    difference(answer),
    known,
    missing(answer),
    h('section', { class: 'privacy', 'aria-labelledby': 'privacy-title' },
      h('h3', { id: 'privacy-title' }, 'What protects the people behind it'), h('p', { id: 'privacy' }, answer.privacy)),
    elsewhere(answer, question));
}

function tags(answer) {
  const facts = [
    ['Unit', answer.unit],
    ['Groups', `${whole(answer.cells.length)} told, ${whole(answer.suppressed_cells)} withheld`],
    ['k', `${answer.k} principals`],
    ['Published', moment(answer.published)],
  ];
  return h('dl', { class: 'facts' },
    facts.map(([name, text]) => h('div', {}, h('dt', {}, name), h('dd', {}, text))));
}

/** What the question leaves out, in words. */
function only({ where, since }) {
  const names = [...new Set(where.map(([name]) => name))];
  const any = (name) => where.filter(([one]) => one === name).map(([, value]) => spaced(value)).join(' or ');
  const parts = [...names.map((name) => `${title(name).toLowerCase()} ${any(name)}`), since && `from ${longDay(since)} on`];
  const text = parts.filter(Boolean).join('; ');
  return text ? h('p', { class: 'only' }, `Only ${text}.`) : null;
}

function difference(answer) {
  const one = answer.difference;
  if (!one) return null;
  const [times, unit] = kind(answer) === 'rate' ? [100, ' points'] : [1, ` ${answer.unit}`];
  const ends = [one.difference, one.low, one.high].map((number) => Number((number * times).toPrecision(12)));
  const digits = Math.min(2, digitsOf(ends));
  const [value, low, high] = ends.map((number) => number.toFixed(digits));
  const sign = one.difference > 0 ? '+' : '';
  const clear = one.low > 0 || one.high < 0;
  return h('p', { class: 'difference', id: 'difference' },
    h('span', { class: 'big' }, `${sign}${value}${unit}`),
    h('span', {}, `${title(answer.by[0])} ${one.to} less ${one.from}; 95 % interval ${low} to ${high}. `,
      clear ? 'The interval leaves zero out.' : 'Zero is within the interval: this tells no difference.'));
}

/** Counts, means and shares. */
function numbers(answer, orders) {
  const third = drawn(answer)[2];
  const panels = third === undefined ? [null] : values(answer, third, orders);
  const figures = panels.map((panel) => {
    const cells = panel === null ? answer.cells : answer.cells.filter((cell) => cell.dimensions[third] === panel);
    return () => h('div', { class: 'panel' }, panel !== null && h('h3', {}, `${title(third)} ${spaced(panel)}`), numbersChart(answer, cells, orders));
  });
  const own = { count: 'Count', mean: `Mean, ${answer.unit}`, rate: 'Share' }[kind(answer)];
  const columns = [
    ...answer.by.map((name) => ({ title: title(name), head: true })),
    { title: `${own}${kind(answer) === 'count' ? '' : ' (95 % interval)'}`, number: true },
    { title: 'Principals', number: true, hint: 'The most within one month, rounded' },
    { title: 'Rows', number: true, hint: 'Rows that the number is made of, rounded' },
  ];
  const write = writer(answer);
  const number = ([value, ends]) => [value, ends && h('span', { class: 'ends' }, ` (${ends})`)];
  const rows = answer.cells.map((cell) => [
    ...answer.by.map((name) => spaced(cell.dimensions[name])), number(write(cell)), whole(cell.principals), whole(cell.rows),
  ]);
  return h('div', {}, figure(figures), table(`${answer.title}, the same numbers`, columns, rows, { id: 'numbers' }));
}

/** The dimensions as a chart has them, along, by series and by panel: time goes along. */
const drawn = ({ by }) => by.toSorted((one, other) => Number(isTime(other)) - Number(isTime(one)));

function numbersChart(answer, cells, orders) {
  const [first, second] = drawn(answer);
  const names = second === undefined ? [''] : values(answer, second, orders);
  const shown = names.slice(0, chart.SERIES_MOST);
  const labels = first === undefined ? ['all'] : isTime(first) ? allTimes(answer, first) : values(answer, first, orders);
  const at = (label, name) => cells.find((cell) =>
    (first === undefined || cell.dimensions[first] === label) && (second === undefined || cell.dimensions[second] === name));
  const write = writer(answer);
  const told = (label, name) => {
    const cell = at(label, name);
    if (!cell) return null;
    const [value, ends] = write(cell);
    return { ...point(cell), text: `${value}${ends && ` (${ends})`}, ${whole(cell.rows)} rows, ${whole(cell.principals)} principals` };
  };
  const series = shown.map((name) => ({ name: spaced(name), points: labels.map((label) => told(label, name)) }));
  const bars = kind(answer) === 'count';
  // Of all charts of the answer, so that they have one scale.
  const ends = answer.cells.map(point).flatMap(({ value, low, high }) => [low ?? value, high ?? value]);
  const all = {
    labels: isTime(first) ? labels.map(day) : labels.map(spaced), series, ends, bars, axis: axis(answer), text: `Chart of ${plural(cells.length, 'group', 'groups')}.`,
  };
  return [
    second !== undefined && h('p', { class: 'of' }, title(second)),
    second !== undefined && chart.legend(shown.map(spaced), { shapes: !bars || isTime(first) }),
    isTime(first) ? chart.times(all) : chart.groups(all),
    names.length > shown.length && h('p', { class: 'hint' }, `The chart shows ${shown.length} of ${names.length}; the table has all.`),
  ];
}

/** Distributions: a chart for each group, one table for all. */
function histogram(answer) {
  const { bins } = answer.cells[0].value;
  const ranges = bins.some((bin) => bin.low !== null && bin.high !== null && bin.low !== bin.high);
  const single = answer.cells.length === 1;
  const unit = binUnit(bins);
  const figures = answer.cells.map((cell) => {
    const told = cell.value.bins.reduce((sum, bin) => sum + (bin.rows ?? 0), 0);
    const scaled = (bin) => (bin.rows === null ? null : single ? bin.rows : (100 * bin.rows) / (told || 1));
    return () => h('div', { class: 'panel' },
      !single && h('h3', {}, placeLong(cell, answer.by), h('small', {}, ` ${whole(cell.rows)} rows`)),
      chart.bins({
        labels: bins.map((bin) => (ranges ? edge(bin, unit) : spaced(bin.meaning))),
        rows: cell.value.bins.map(scaled),
        texts: cell.value.bins.map((bin) => `${spaced(bin.meaning)}: ${bin.rows === null ? 'withheld' : `${whole(bin.rows)} rows`}`),
        axis: single ? answer.unit : '% of what is told',
        along: ranges ? `from${unit === 's' ? '' : `, ${spaced(unit)}`}` : null,
        text: `Distribution of ${placeLong(cell, answer.by) || 'all'} over ${bins.length} bins.`,
      }));
  });
  const columns = [
    { title: 'Bin', head: true },
    ...answer.cells.map((cell) => ({ title: place(cell, answer.by), number: true, hint: placeLong(cell, answer.by) })),
  ];
  const rows = [
    ...bins.map((bin, index) => [
      spaced(bin.meaning), ...answer.cells.map((cell) => cell.value.bins[index].rows).map((rows) => (rows === null ? withheld() : whole(rows))),
    ]),
    ...answer.cells[0].value.quantiles.map(({ share }, at) => [
      `${fine(share * 100, 0)} % of the rows told lie up to`, ...answer.cells.map(({ value }) => span(value.bins, value.quantiles[at])),
    ]),
    ['Rows told', ...answer.cells.map((cell) => whole(cell.rows))],
    ['Principals', ...answer.cells.map((cell) => whole(cell.principals))],
  ];
  return h('div', {}, figure(figures, h('p', { class: 'hint' }, h('span', { class: 'hatch', 'aria-hidden': 'true' }), 'hatched: withheld')),
    table(`${answer.title}, ${answer.unit} in each bin`, columns, rows, { id: 'numbers' }));
}

/** The bin of a quantile, or the first and the last that could hold it. */
function span(bins, { first_bin: first, last_bin: last }) {
  const [from, to] = [first, last].map((index) => spaced(bins.find((bin) => bin.index === index).meaning));
  return first === last ? from : `${from} .. ${to}`;
}

/** The lower end of a bin, which is what stands below a bar. */
function edge({ low, high }, unit) {
  const write = unit === 's' ? duration : (number) => fine(number);
  return low === null ? `< ${write(high)}` : write(low);
}

/** Charts beside each other, each made by a function; many wait until somebody wants them. */
function figure(panels, note) {
  const make = (some) => some.map((panel) => panel());
  const grid = h('div', { class: panels.length > 1 ? 'panels' : null }, make(panels.slice(0, PANELS_MOST)));
  const rest = panels.slice(PANELS_MOST);
  const showRest = (event) => {
    grid.append(...make(rest));
    event.target.remove();
  };
  const more = rest.length > 0
    && h('button', { type: 'button', onclick: showRest }, `Show ${plural(rest.length, 'more chart', 'more charts')}`);
  return h('div', { class: 'figure' }, grid, note, more);
}

function missing(answer) {
  const bins = kind(answer) === 'histogram' ? answer.cells.reduce((sum, cell) => sum + cell.value.withheld, 0) : 0;
  const groups = answer.suppressed_cells;
  const what = [
    groups > 0 && `${plural(groups, 'group exists and is', 'groups exist and are')} not told`,
    bins > 0 && `${plural(bins, 'bin is', 'bins are')} not told: few principals, perhaps none, are in ${bins === 1 ? 'it' : 'them'}`,
  ].filter(Boolean);
  return h('section', { class: 'missing', 'aria-labelledby': 'missing-title' },
    h('h3', { id: 'missing-title' }, 'What is withheld'),
    what.length
      ? [h('p', {}, h('b', {}, `${what.join('; ')}.`)), h('p', {}, whyWithheld(answer.k))]
      : h('p', {}, 'Nothing: every group that exists is told.'));
}

function elsewhere(answer, question) {
  const page = new URL('.', location.href.split('#')[0]);
  const curl = `curl --header "Authorization: Bearer $IMPRIMATUR_TOKEN" \\\n  '${new URL(answerPath(question), page)}'`;
  const problem = h('div');
  const save = (format, name) => h('button', {
    type: 'button', class: 'small', 'data-format': format, onclick: async () => {
      problem.replaceChildren();
      try {
        await download(question, format);
        say(`${name} saved`);
      } catch (error) {
        problem.replaceChildren(refusal(error));
      }
    },
  }, icon('down'), name);
  return h('section', { class: 'elsewhere', 'aria-labelledby': 'elsewhere-title' },
    h('h3', { id: 'elsewhere-title' }, 'The same answer elsewhere'),
    h('div', { class: 'buttons' }, save('csv', 'CSV'), save('arrow', 'Arrow'), save('parquet', 'Parquet'), save('json', 'JSON')),
    problem,
    snippet('On the command line', answer.command),
    snippet('With curl', curl),
    snippet('As a link (without your token)', location.href));
}
