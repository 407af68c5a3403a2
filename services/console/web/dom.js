// Makes elements. What comes from the server becomes text, never markup.

/** An element with attributes, listeners (`onclick`) and children; `null` and `false` children are left out. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else if (key === 'value') element.value = value;
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const PATHS = {
  good: 'M3.5 8.5l3 3 6-7',
  bad: 'M4 4l8 8M12 4l-8 8',
  warn: 'M8 3.2v6M8 12.2v.6',
  wait: 'M8 2a6 6 0 1 0 .01 0M8 5v3.4l2 1.3',
  copy: 'M6 5.5h7v8H6zM3 10.5v-8h7',
  down: 'M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3 13.5h10',
};

/** A small drawing that says nothing by itself: a word always stands beside it. */
export function icon(name) {
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', '0 0 16 16');
  svg.setAttribute('aria-hidden', 'true');
  svg.classList.add('icon');
  const path = document.createElementNS(space, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** A word with a sign, so that colour is never alone: `kind` is good, bad, warn or wait. */
export function mark(kind, text) {
  return h('span', { class: `mark ${kind}` }, icon(kind), text);
}

/** What follows from state that is not there yet. */
export function loading(text) {
  return h('p', { class: 'loading', role: 'status' }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), text);
}

/** Says something to who listens instead of looking. */
export function say(text) {
  document.getElementById('said').textContent = text;
}

/** A button that copies what `text()` gives. */
export function copyButton(what, text) {
  const label = h('span', {}, 'Copy');
  const copied = async () => {
    try {
      await navigator.clipboard.writeText(text());
      label.textContent = 'Copied';
    } catch {
      label.textContent = 'Select it and copy';
    }
    say(`${what}: ${label.textContent}`);
    setTimeout(() => (label.textContent = 'Copy'), 2000);
  };
  return h('button', { type: 'button', class: 'quiet small', 'aria-label': `Copy ${what}`, onclick: copied }, icon('copy'), label);
}

/** Text that is typed elsewhere, with its button. */
export function snippet(title, text) {
  return h('div', { class: 'snippet' },
    h('div', { class: 'head' }, h('span', {}, title), copyButton(title, () => text)),
    h('pre', { tabindex: '0', 'aria-label': title }, h('code', {}, text)));
}
