// The metric explorer: choose or type a question, see its answer; the question is in the address, so a link asks it again.

import { answerPath, ask, once } from './api.js';
import { h, loading, say } from './dom.js';
import { refusal } from './problem.js';
import { link, questionForm, read } from './question.js';
import { result } from './result.js';
import { plural, title } from './words.js';

/** Where the question stands above the answer and folds; the style sheet has the same width. */
const narrow = matchMedia('(max-width: 56rem)');

/** Builds the page; gives what follows a changed address. */
export function show(main, state) {
  const side = h('div', { class: 'side' }, loading('Loading metrics'));
  const place = h('div', { class: 'answer', id: 'answer' });
  main.append(
    h('h1', {}, 'Explore'),
    h('p', { class: 'lead' }, 'Ask a registered metric of groups of printers. Groups that are too small are withheld; every number says how sure it is.'),
    h('div', { class: 'explore' }, side, place));
  let page = null;
  let wanted = state;
  /** Counts questions, so that a late answer to an earlier one is not shown. */
  let turn = 0;

  async function answer(question) {
    turn += 1;
    const mine = turn;
    place.setAttribute('aria-busy', 'true');
    place.replaceChildren(h('div', { class: 'card' }, loading('Asking')));
    let content;
    try {
      const told = await ask(answerPath(question));
      content = result(told, question, page.orders);
      say(`Answer: ${plural(told.cells.length, 'group is', 'groups are')} told, ${told.suppressed_cells} withheld.`);
    } catch (error) {
      content = refusal(error, () => answer(question));
    }
    if (mine !== turn) return;
    place.removeAttribute('aria-busy');
    place.replaceChildren(content);
  }

  function update(changed) {
    wanted = changed;
    if (!page) return;
    const question = read(wanted);
    page.fill(question);
    if (question.metric) {
      page.list.hidden = false;
      page.box.open = !narrow.matches;
      answer(question);
    } else {
      turn += 1;
      page.list.hidden = true;
      page.box.open = true;
      place.replaceChildren(start(page.questions, page.metrics));
    }
  }

  async function load() {
    try {
      const [{ metrics }, { dimensions }, { questions }] = await Promise.all([once('v1/metrics'), once('v1/dimensions'), once('v1/questions')]);
      const go = (question) => {
        const target = link(question);
        if (location.hash === target) answer(question);
        else location.hash = target;
      };
      const { box, fill } = questionForm(metrics, dimensions, go);
      const list = more(questions);
      const orders = new Map(dimensions.map((one) => [one.name, one.values?.map(({ value }) => value)]));
      side.replaceChildren(box, list);
      narrow.onchange = () => (box.open = !narrow.matches);
      page = { box, fill, list, questions, metrics, orders };
      update(wanted);
    } catch (error) {
      side.replaceChildren(refusal(error, load));
    }
  }

  load();
  return update;
}

/** One of the twenty questions as an address that asks it. */
function target({ metric, by, where }) {
  const [names, filters] = [by, where].map((text) => (Array.isArray(text) ? text.join(',') : text ?? ''));
  return link(read(new URLSearchParams({ metric, by: names, where: filters })));
}

/** The twenty questions beside an answer. */
function more(questions) {
  const item = (one) => h('li', { value: one.number }, h('a', { href: target(one), title: one.command }, one.question));
  return h('details', { class: 'card starts', hidden: true }, h('summary', {}, h('h2', {}, 'Twenty questions')), h('ol', {}, questions.map(item)));
}

/** Before the first question. */
function start(questions, metrics) {
  const titleOf = (name) => metrics.find((metric) => metric.name === name)?.title ?? name;
  const card = (one) => h('li', {}, h('a', { href: target(one), title: one.command },
    h('b', {}, one.question), h('small', {}, `${one.number} · ${titleOf(one.metric)}${one.by ? ` by ${title(String(one.by)).toLowerCase()}` : ''}`)));
  return h('section', { class: 'card', 'aria-labelledby': 'start-title' },
    h('h2', { id: 'start-title' }, 'Start with one of twenty questions'),
    h('p', { class: 'hint' }, 'What a quality engineer asks; model 12 and its firmware are examples. Or choose a metric: ',
      'the fewer dimensions, the larger the groups, and the more of them are told.'),
    h('ul', { class: 'ideas' }, questions.map(card)));
}
