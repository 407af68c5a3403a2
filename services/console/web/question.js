// A question as the address holds it, and the form that makes one.

import { h } from './dom.js';
import { month, title } from './words.js';

/** Most dimensions of a question, as the server has it. */
const DIMENSIONS_MOST = 3;

/** Months that are offered as the first: rows are kept for less. */
const MONTHS = 36;

/** Out of the address: `metric=..&by=a,b&where=a=x,b=y&since=DATE`. */
export function read(state) {
  const list = (key) => (state.get(key) ?? '').split(',').map((part) => part.trim()).filter(Boolean);
  const pair = (text) => {
    const at = text.indexOf('=');
    return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
  };
  return { metric: state.get('metric') ?? '', by: list('by'), where: list('where').map(pair), since: state.get('since') ?? '' };
}

/** Into the address, so that a link can be shared. */
export function link({ metric, by, where, since }) {
  const state = new URLSearchParams({ metric });
  if (by.length) state.set('by', by.join(','));
  if (where.length) state.set('where', where.map(([name, value]) => `${name}=${value}`).join(','));
  if (since) state.set('since', since);
  return `#/explore?${state.toString().replaceAll('%2C', ',').replaceAll('%3D', '=')}`;
}

/** First days of months that a question may start with: months are what each group is held to. */
function months(chosen) {
  const now = new Date();
  const firsts = Array.from({ length: MONTHS }, (_, back) => {
    const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back, 1));
    return first.toISOString().slice(0, 10);
  });
  const all = !chosen || firsts.includes(chosen) ? firsts : [chosen, ...firsts];
  return [option('', 'all that is kept', chosen), ...all.map((first) => option(first, /-01$/.test(first) ? month(first) : first, chosen))];
}

const option = (value, text, chosen) => h('option', { value, selected: chosen === value }, text);

/** The form in its box, which folds on a small screen; `ask` is called with the question, `fill` shows one. */
export function questionForm(metrics, dimensions, ask) {
  const known = new Map(dimensions.map((one) => [one.name, one]));
  const tables = [['print', 'Of a print'], ['day', 'Of a printer\u2019s day']];
  const ofTable = (table) => metrics.filter((metric) => metric.table === table);
  const metricField = h('select', { id: 'metric', onchange: () => choose(question()) },
    option('', 'Choose a metric', ''),
    tables.map(([table, label]) =>
      h('optgroup', { label }, ofTable(table).map((metric) => option(metric.name, metric.title)))));
  const about = h('p', { class: 'hint', id: 'about' });
  const groups = h('div', { class: 'groups' });
  const filters = h('div', { class: 'filters' });
  const since = h('select', { id: 'since' });
  const add = h('button', { type: 'button', class: 'small', id: 'add-filter', onclick: () => filter(['', ''], true) }, 'Add a filter');

  const metric = () => metrics.find((one) => one.name === metricField.value);
  const allowed = () => metric()?.dimensions ?? [];
  const choices = (chosen, none) => [
    option('', none, chosen), allowed().map((name) => option(name, title(name), chosen)),
    chosen && !allowed().includes(chosen) && option(chosen, `${title(chosen)} (not of this metric)`, chosen),
  ].flat();

  const meaning = (name) => (known.get(name)?.meaning ?? '').replaceAll('`', '');

  function group(index, chosen) {
    const id = `by-${index + 1}`;
    const label = h('label', { for: id }, index ? 'and by' : 'Group by');
    const hint = h('span', { class: 'hint' }, meaning(chosen));
    const changed = () => {
      hint.textContent = meaning(select.value);
      offer();
    };
    const select = h('select', { id, onchange: changed }, choices(chosen, index ? 'nothing more' : 'nothing: one number for all'));
    return h('div', { class: 'field' }, label, select, hint);
  }

  /** One empty field stands after those that are chosen, while one more is possible. Fields in use stay: somebody types in one. */
  function offer() {
    const fields = [...groups.children];
    const chosen = fields.findLastIndex((field) => field.querySelector('select').value) + 1;
    const count = Math.min(chosen + 1, DIMENSIONS_MOST);
    fields.slice(count).forEach((field) => field.remove());
    for (let index = fields.length; index < count; index += 1) groups.append(group(index, ''));
  }

  let filterCount = 0;

  function filter([name, value], focus) {
    filterCount += 1;
    const id = `where-${filterCount}`;
    const place = h('span', { class: 'value' });
    const select = h('select', { id, 'aria-label': 'Filter by', onchange: () => place.replaceChildren(valueField(select.value, '')) }, choices(name, 'Choose a dimension'));
    const row = h('div', { class: 'filter' }, select, h('span', { 'aria-hidden': 'true' }, 'is'), place);
    row.append(h('button', {
      type: 'button', class: 'quiet small', 'aria-label': 'Remove this filter', onclick: () => {
        row.remove();
        add.focus();
      },
    }, 'Remove'));
    place.append(valueField(name, value));
    filters.append(row);
    if (focus) select.focus();
  }

  function valueField(name, value) {
    const values = known.get(name)?.values;
    const label = { 'aria-label': `Value of ${title(name || 'dimension')}` };
    if (values) {
      const unlisted = value && !values.some((one) => one.value === value);
      return h('select', label, option('', 'Choose a value', value), unlisted && option(value, value, value),
        values.map((one) => option(one.value, one.label, value)));
    }
    const isDate = name === 'date' || name === 'week';
    return h('input', { ...label, type: isDate ? 'date' : 'text', value, disabled: !name, placeholder: { firmware: '12.3', model: '12' }[name] });
  }

  function question() {
    const by = [...groups.querySelectorAll('select')].map((select) => select.value).filter(Boolean);
    const where = [...filters.querySelectorAll('.filter')].map((row) => [
      row.querySelector('select').value, row.querySelector('.value > *').value.trim(),
    ]);
    return { metric: metricField.value, by: [...new Set(by)], where: where.filter(([name, value]) => name && value), since: since.value };
  }

  /** Shows what goes with the chosen metric, and keeps what was chosen besides. */
  function choose({ by, where }) {
    const one = metric();
    about.replaceChildren(...(one ? [one.question ?? '', ' ', h('code', {}, one.name)] : ['Each metric is registered: nothing else can be asked.']));
    groups.replaceChildren(...by.map((name, index) => group(index, name)));
    offer();
    filters.replaceChildren();
    where.forEach((pair) => filter(pair, false));
    add.disabled = !one;
  }

  function fill(wanted) {
    metricField.value = wanted.metric;
    since.replaceChildren(...months(wanted.since));
    choose(wanted);
  }

  const form = h('form', {
    'aria-label': 'Question', onsubmit: (event) => {
      event.preventDefault();
      if (metricField.value) ask(question());
      else metricField.focus();
    },
  },
  h('div', { class: 'field' }, h('label', { for: 'metric' }, 'Metric'), metricField, about),
  groups,
  h('fieldset', {}, h('legend', {}, 'Only these groups'), filters, add,
    h('p', { class: 'hint' }, 'A filter counts as a dimension; a question has at most three. Several values only of one that is grouped by.')),
  h('div', { class: 'field' }, h('label', { for: 'since' }, 'First month'), since),
  h('button', { class: 'primary', id: 'ask' }, 'Ask'));
  const box = h('details', { class: 'card question', open: true }, h('summary', {}, h('h2', {}, 'Question')), form);
  return { box, fill };
}
