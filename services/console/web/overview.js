// The overview: who said yes to what, and what the collector answered, day by day.

import { ask } from './api.js';
import { legend, SERIES_MOST, stacked } from './chart.js';
import { h, loading, mark } from './dom.js';
import { refusal } from './problem.js';
import { bar, table, withheld } from './table.js';
import { day, moment, plural, title, whole } from './words.js';

/** Builds the page. */
export function show(main) {
  const body = h('div', {}, loading('Loading the overview'));
  main.append(h('h1', {}, 'Overview'), body);
  const load = async () => {
    try {
      body.replaceChildren(...content(await ask('v1/overview')));
    } catch (error) {
      body.replaceChildren(refusal(error, load));
    }
  };
  load();
}

function content(told) {
  const refused = told.answers.filter((one) => one.outcome === 'refused').reduce((sum, one) => sum + one.count, 0);
  const stored = told.answers.filter((one) => one.outcome === 'stored').reduce((sum, one) => sum + one.count, 0);
  return [
    told.synthetic && h('p', { class: 'note synthetic' }, mark('warn', 'Synthetic fleet: no printer told any of this.')),
    h('dl', { class: 'tiles' },
      tile('Principals under consent', told.principals === null ? withheld() : whole(told.principals), 'in steps of 5'),
      tile('Batches stored', whole(stored), 'on the days below'),
      tile('Batches refused', whole(refused), 'on the days below'),
      tile('Batches waiting', whole(told.batches_waiting), 'not published yet')),
    h('p', { class: 'hint' }, `Published ${moment(told.published)}.`),
    coverage(told),
    answers(told.answers),
  ].filter(Boolean);
}

const tile = (name, number, hint) => h('div', {}, h('dt', {}, name), h('dd', {}, h('span', { class: 'big' }, number), h('small', {}, hint)));

function coverage({ coverage: rows, principals }) {
  const most = Math.max(principals ?? 0, ...rows.map((row) => row.principals ?? 0));
  const policy = (row) => h('span', {}, `version ${row.operator_policy_version} `, h('code', {}, row.policy));
  const share = (row) => (principals ? `${Math.round((100 * row.principals) / principals)} %` : '');
  const columns = [
    { title: 'Category', head: true },
    { title: 'Policy' },
    { title: 'Principals', number: true },
    { title: 'Of all', number: true, hint: 'Share of all principals under consent' },
  ];
  const lines = rows.map((row) => [
    title(row.category),
    policy(row),
    row.principals === null ? withheld() : bar(row.principals, most),
    row.principals === null ? '' : share(row),
  ]);
  return h('section', { class: 'card', 'aria-labelledby': 'coverage-title' },
    h('h2', { id: 'coverage-title' }, 'The fleet under consent'),
    h('p', {}, 'How many principals, people or organisations, said yes to which category of data, and under which policy.'),
    rows.length
      ? table('Principals under consent, by category and policy', columns, lines, { id: 'coverage' })
      : h('p', { class: 'empty' }, 'Nobody has said yes yet, so nothing is stored.'),
    rows.some((row) => row.principals === null) && h('p', { class: 'hint' },
      'Withheld: fewer than 20 principals, or so near to all that the few others would show.'));
}

function answers(all) {
  const section = h('section', { class: 'card', 'aria-labelledby': 'answers-title' },
    h('h2', { id: 'answers-title' }, 'What the collector answered'),
    h('p', {}, 'Batches by day: what was stored, and what was refused and why. Of a refusal only its count stays.'));
  if (!all.length) {
    section.append(h('p', { class: 'empty' }, 'No answers are counted yet.'));
    return section;
  }
  const place = h('div', { id: 'answers' });
  const views = [
    ['outcome', 'All, by outcome', all, (one) => one.outcome],
    ['reason', 'Refused, by reason', all.filter((one) => one.outcome === 'refused'), (one) => one.reason],
  ];
  const choose = ([key, text, rows, name]) => {
    place.replaceChildren(...daily(text, rows, name));
    switches.forEach((one, index) => one.setAttribute('aria-pressed', String(views[index][0] === key)));
  };
  const switches = views.map((view) => h('button', { type: 'button', class: 'small', 'data-view': view[0], onclick: () => choose(view) }, view[1]));
  section.append(h('div', { class: 'switch', role: 'group', 'aria-label': 'What is counted' }, switches), place);
  choose(views[0]);
  return section;
}

/** A chart and a table of counts by day and name. */
function daily(text, rows, name) {
  if (!rows.length) return [h('p', { class: 'empty' }, 'None.')];
  const dates = [...new Set(rows.map((one) => one.date))].sort();
  const sum = (some) => some.reduce((total, one) => total + one.count, 0);
  const names = [...new Set(rows.map(name))]
    .map((one) => ({ name: one, total: sum(rows.filter((row) => name(row) === one)) }))
    .sort((a, b) => b.total - a.total)
    .map((one) => one.name);
  const count = (date, one) => sum(rows.filter((row) => row.date === date && name(row) === one));
  const words = (one) => title(one || 'other');
  const drawn = names.slice(0, SERIES_MOST);
  const series = drawn.map((one) => ({ name: words(one), values: dates.map((date) => count(date, one)) }));
  const columns = [{ title: 'Day', head: true }, ...names.map((one) => ({ title: words(one), number: true }))];
  const lines = dates.toReversed().map((date) => [date, ...names.map((one) => whole(count(date, one)))]);
  return [
    legend(drawn.map(words), { shapes: false }),
    stacked({ labels: dates.map(day), series, axis: 'answers a day', text: `${text}: ${plural(dates.length, 'day', 'days')}.` }),
    drawn.length < names.length && h('p', { class: 'hint' }, 'The chart shows the most frequent; the table has all.'),
    table(`${text}, a day`, columns, lines, { id: 'daily' }),
  ].filter(Boolean);
}
