// Compliance: the last proof, what people asked for and by when, the log, and how much the contract can tell.

import { ask } from './api.js';
import { h, loading, mark, snippet } from './dom.js';
import { refusal } from './problem.js';
import { bar, table } from './table.js';
import { date, longDay, moment, plural, title, whole } from './words.js';

const DAY = 86_400_000;

/** Builds the page. */
export function show(main) {
  const body = h('div', {}, loading('Loading'));
  main.append(h('h1', {}, 'Compliance'), body);
  const load = async () => {
    try {
      const told = await ask('v1/compliance');
      body.replaceChildren(report(told.report), requests(told.requests), capacity(told.capacity), log(told.log));
    } catch (error) {
      body.replaceChildren(refusal(error, load));
    }
  };
  load();
}

const section = (id, heading, ...content) =>
  h('section', { class: 'card', id, 'aria-labelledby': `${id}-title` }, h('h2', { id: `${id}-title` }, heading), ...content);

const VERDICTS = {
  holds: ['good', 'Everything was checked, and all of it holds'],
  not_all_checked: ['warn', 'What was checked holds, but not all was checked: this is no proof of the whole'],
  fails: ['bad', 'Something does not hold'],
};

function report(told) {
  if (!told) {
    return section('report', 'Last report',
      h('p', { class: 'empty' }, 'No report yet: ', h('code', {}, 'imprimatur compliance verify'), ' makes one.'));
  }
  const [kind, text] = VERDICTS[told.verdict] ?? VERDICTS.fails;
  const facts = [
    ['Made', told.published, moment],
    ['Rows matched', told.rows, whole],
    ['Entries of the log', told.log_size, whole],
  ];
  const checks = told.checks ?? [];
  return section('report', 'Last report',
    h('p', { class: 'verdict', 'data-verdict': told.verdict }, mark(kind, text)),
    told.synthetic && h('p', { class: 'hint' }, 'Of a synthetic fleet.'),
    h('dl', { class: 'facts' }, facts.map(([name, value, say]) => h('div', {}, h('dt', {}, name), h('dd', {}, say(value))))),
    checks.length > 0 && table('Checks of the last report',
      [{ title: 'Invariant', head: true }, { title: 'What it says' }, { title: 'Verdict' }, { title: 'Checks', number: true }],
      checks.map((check) => [
        String(check.invariant), check.sentence,
        check.holds ? mark('good', 'holds') : mark('bad', `${plural(check.failed, 'finding', 'findings')}`), whole(check.checked),
      ])));
}

/** What a due date means today. */
function standing({ due, done, held }) {
  if (done) return mark('good', `done ${longDay(done)}`);
  if (held) return mark('wait', 'stopped by a legal hold');
  const days = Math.round((date(due) - Math.floor(Date.now() / DAY) * DAY) / DAY);
  if (days < 0) return mark('bad', `overdue by ${plural(-days, 'day', 'days')}`);
  if (days <= 7) return mark('warn', days === 0 ? 'due today' : `due in ${plural(days, 'day', 'days')}`);
  return mark('wait', `due in ${plural(days, 'day', 'days')}`);
}

function requests(all) {
  if (!all.length) return section('requests', 'Requests', h('p', { class: 'empty' }, 'Nobody has asked for anything yet.'));
  const today = new Date().toISOString().slice(0, 10);
  const open = all.filter((one) => !one.done);
  const late = open.filter((one) => !one.held && one.due < today).length;
  const sorted = all.toSorted((a, b) => Number(Boolean(a.done)) - Number(Boolean(b.done)) || a.due.localeCompare(b.due));
  return section('requests', 'Requests',
    h('p', {}, late
      ? mark('bad', `${plural(late, 'request is', 'requests are')} overdue`)
      : mark('good', open.length ? `${plural(open.length, 'request is', 'requests are')} open, none is overdue` : 'all are done')),
    table('Requests of people, those that are due first; they bear no names',
      [{ title: 'Kind', head: true }, { title: 'Received' }, { title: 'Due' }, { title: 'Standing' }],
      sorted.map((one) => [title(one.kind), longDay(one.received), longDay(one.due), standing(one)])));
}

const bits = (number) => number.toFixed(2);

function capacity(told) {
  const lines = [
    ['A print', told.print_bits, told.print_budget_bits],
    ['A print, correlated with its geometry', told.geometry_bits, told.geometry_budget_bits],
    ['A printer\u2019s day', told.day_bits, told.day_budget_bits],
  ];
  return section('capacity', 'What the contract can tell',
    h('p', {}, 'An upper bound for all fields together, counted by the build. Over budget, nothing is built.'),
    table('Capacity of the contract, in bits',
      [{ title: 'Of', head: true }, { title: 'Used', number: true }, { title: 'Budget', number: true }, { title: 'Of it', number: true }, { title: 'Left', number: true }],
      lines.map(([name, used, budget]) => [
        name, bar(used, budget, bits(used)), whole(budget), `${((100 * used) / budget).toFixed(1)} %`, bits(budget - used),
      ])));
}

function log({ size, root, checkpoint }) {
  return section('log', 'Transparency log',
    h('p', {}, `The log has ${plural(size, 'entry', 'entries')}. Keep its checkpoint elsewhere: a log that was rewritten does not contain it.`),
    h('dl', { class: 'facts' }, h('div', {}, h('dt', {}, 'Root hash'), h('dd', {}, h('code', {}, root)))),
    checkpoint ? snippet('Signed checkpoint', checkpoint) : h('p', { class: 'empty' }, 'No checkpoint is signed yet.'));
}
