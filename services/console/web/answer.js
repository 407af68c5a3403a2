// What an answer is, read once: groups, their numbers, and how both are written.

import { digitsOf, fine, spaced, title, whole } from './words.js';

export const isTime = (dimension) => dimension === 'week' || dimension === 'date';
export const kind = (answer) => answer.cells[0].value.kind;

/** A group's name, for a reader. */
export const place = (cell, by) => by.map((name) => spaced(cell.dimensions[name])).join(', ') || 'all';

/** A group with its dimensions' names, for a heading. */
export const placeLong = (cell, by) => by.map((name) => `${title(name)} ${spaced(cell.dimensions[name])}`).join(', ');

/** The number of a group with its interval: shares in percent, ends `null` where there are none. */
export function point(cell) {
  const { value } = cell;
  if (value.kind === 'count') return { value: value.count, low: null, high: null };
  const times = value.kind === 'rate' ? 100 : 1;
  const scaled = (number) => (number === null || number === undefined ? null : Number((number * times).toPrecision(12)));
  return { value: scaled(value[value.kind]), low: scaled(value.low), high: scaled(value.high) };
}

/** What the axis of the numbers says. */
export function axis(answer) {
  if (kind(answer) === 'rate') return `${answer.unit}, %`;
  return kind(answer) === 'histogram' ? answer.unit : `${answer.unit}${kind(answer) === 'count' ? '' : ', mean'}`;
}

/** Writes the numbers of an answer's groups, all with the same digits: gives a number and its interval, as two texts. */
export function writer(answer) {
  const points = answer.cells.filter((cell) => cell.value.kind !== 'histogram').map(point);
  const digits = digitsOf(points.flatMap(({ value, low, high }) => [value, low, high].filter((one) => one !== null)));
  const unit = kind(answer) === 'rate' ? ' %' : '';
  return (cell) => {
    if (cell.value.kind === 'count') return [whole(cell.value.count), ''];
    const { value, low, high } = point(cell);
    const ends = low === null || high === null ? '' : `${fine(low, digits)} to ${fine(high, digits)}${unit}`;
    return [`${fine(value, digits)}${unit}`, ends];
  };
}

/** The values of one dimension that are told, in the order of all its values where that is known, else as they come. */
export function values(answer, dimension, orders) {
  const told = [...new Set(answer.cells.map((cell) => cell.dimensions[dimension]))];
  const order = orders.get(dimension) ?? [];
  const rank = (value) => (order.includes(value) ? order.indexOf(value) : order.length);
  return told.sort((a, b) => rank(a) - rank(b));
}

/** All days or weeks from the first that is told to the last, so that a gap is seen as one. */
export function times(answer, dimension) {
  const told = answer.cells.map((cell) => cell.dimensions[dimension]).filter((text) => /^\d{4}-\d{2}-\d{2}$/.test(text)).sort();
  if (!told.length) return [];
  const all = [];
  const step = (dimension === 'week' ? 7 : 1) * 86_400_000;
  const end = Date.parse(told.at(-1));
  for (let at = Date.parse(told[0]); at <= end && all.length < 1000; at += step) all.push(new Date(at).toISOString().slice(0, 10));
  return all;
}

/** The unit that the bins' meanings end with; empty for classes. */
export function binUnit(bins) {
  const bounded = bins.find((bin) => bin.low !== null && bin.high !== null);
  return bounded ? bounded.meaning.replace(/^[-\d.\s]*(to\s[-\d.]+)?\s*/, '') : '';
}
