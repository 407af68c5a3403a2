// How numbers, dates and refusals are said.

const WHOLE = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const DAY = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
const MONTH = new Intl.DateTimeFormat('en-GB', { month: 'long', year: 'numeric', timeZone: 'UTC' });
const LONG_DAY = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' });
const MOMENT = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

export const whole = (number) => WHOLE.format(number);
const cut = (number) => Number(number.toPrecision(12));

/** As it was told: the server has rounded it. With `digits`, so many after the point, so that a column is even. */
export function fine(number, digits = 0) {
  return number.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: Math.max(digits, 4) });
}

/** Digits after the point that the finest of some numbers needs, up to four. */
export function digitsOf(numbers) {
  const needed = numbers.filter(Number.isFinite).map((number) => (String(cut(number)).split('.')[1] ?? '').length);
  return Math.min(4, Math.max(0, ...needed));
}
export const plural = (count, one, many) => `${whole(count)} ${count === 1 ? one : many}`;

/** `2026-11-22` as a date. */
export const date = (text) => new Date(`${text}T00:00:00Z`);
export const day = (text) => DAY.format(date(text));
export const month = (text) => MONTH.format(date(text));
export const longDay = (text) => LONG_DAY.format(date(text));

/** Seconds since 1970, or a time in ISO 8601, as a time in UTC. */
export function moment(time) {
  const at = typeof time === 'number' ? new Date(time * 1000) : new Date(time);
  return `${MOMENT.format(at)} UTC`;
}

/** `material_family` as people write it. */
export function title(name) {
  const text = name.replaceAll('_', ' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** A class of the contract as people write it: `stopped_by_user`, `205 to 215 degC`. */
export const spaced = (value) => value.replaceAll('_', ' ').replaceAll('degC', '\u00b0C');

/** A time of some seconds, short. */
export function duration(seconds) {
  if (seconds < 60) return `${whole(seconds)} s`;
  return seconds < 5400 ? `${whole(seconds / 60)} min` : `${whole(seconds / 3600)} h`;
}

/** Why a group is not told, for a threshold of `k`. */
export function whyWithheld(k) {
  return `A group is told only if at least ${k} enrolled principals are in it in every month that it covers, none of them holds `
    + 'more than 30 % of it and no two more than 50 %. Where the total would give such a group back, the smallest other '
    + 'group is withheld, too.';
}

const NEXT = {
  unauthenticated: 'Sign in with the token that your operator gave you.',
  expired: 'Ask your operator for a new token.',
  forbidden: 'Ask your operator for a token of another role if you need this.',
  unknown_metric: 'Choose a metric from the list.',
  unknown_dimension: 'Choose a dimension from the list.',
  dimension_not_allowed: 'Remove this dimension, or choose another metric.',
  unknown_value: 'Choose a value from the list.',
  not_a_filter: 'Write a filter as a dimension and a value.',
  bad_date: 'Write the first day of a month, for example 2026-11-01.',
  several_values: 'Group by this dimension, too, or keep one value of it.',
  bad_parameter: 'Check the link: a question has a metric, by, where and since.',
  too_long: 'Ask with fewer filters.',
  too_fine: 'Use fewer dimensions, or others.',
  below_threshold: 'Use fewer dimensions or filters, or another first month.',
  too_near: 'This question differs too little from one that was answered. Ask that one again, or change the filters by more.',
  budget_spent: 'Ask a question that was answered before; its answer stays the same.',
  rate_limited: 'Wait a little, then ask again.',
  too_large: 'Use a later first month or fewer dimensions, or try again later.',
  not_published: 'The collector has published nothing yet. Try again later.',
  not_found: 'Check the link.',
  internal: 'Tell your operator the number above; it is in the server\'s log.',
  unreachable: 'Check that the server runs and that you can reach it, then try again.',
};

/** What to do about a refusal. */
export const whatNext = (code) => NEXT[code] ?? 'Try again later.';
