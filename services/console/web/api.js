// Asks the server. The token travels in a header, never in an address.

import { token, forget } from './session.js';

/** The server said no, or nothing. Carries what RFC 9457 tells. */
export class Refused extends Error {
  constructor({ status = 0, code = 'unreachable', title = 'The server does not answer', detail = '', ...rest }) {
    super(title);
    Object.assign(this, { status, code, title, detail, rest });
  }
}

/** The address of a question, relative to the page. */
export function answerPath({ metric, by, where, since }, format) {
  const query = new URLSearchParams();
  if (by.length) query.set('by', by.join(','));
  if (where.length) query.set('where', where.map(([name, value]) => `${name}=${value}`).join(','));
  if (since) query.set('since', since);
  if (format) query.set('format', format);
  // Commas and equals signs are legal there and easier to read.
  const text = query.toString().replaceAll('%2C', ',').replaceAll('%3D', '=');
  return `v1/answers/${encodeURIComponent(metric)}${text && `?${text}`}`;
}

async function refusal(response) {
  const wait = response.headers.get('Retry-After');
  try {
    const problem = await response.json();
    return new Refused({ ...problem, status: response.status, wait });
  } catch {
    return new Refused({ status: response.status, code: 'unreadable', title: `The server answered ${response.status}`, wait });
  }
}

async function send(path, accept, bearer) {
  const headers = { Accept: accept, Authorization: `Bearer ${bearer}` };
  let response;
  try {
    response = await fetch(path, { headers, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  } catch {
    throw new Refused({});
  }
  if (response.ok) return response;
  const refused = await refusal(response);
  if (response.status === 401 && bearer === token()) forget(refused);
  throw refused;
}

/** JSON of `path`. @throws {Refused} */
export async function ask(path, bearer = token()) {
  const response = await send(path, 'application/json', bearer);
  return response.json();
}

const known = new Map();

/** As `ask`, once for each sign-in: for what does not change while the server runs. */
export function once(path) {
  const key = `${token()} ${path}`;
  if (!known.has(key)) {
    const asked = ask(path);
    known.set(key, asked);
    asked.catch(() => known.delete(key));
  }
  return known.get(key);
}

const TYPES = {
  csv: 'text/csv',
  json: 'application/json',
  arrow: 'application/vnd.apache.arrow.stream',
  parquet: 'application/vnd.apache.parquet',
};

/** Saves the answer to a question as a file. @throws {Refused} */
export async function download(question, format) {
  const response = await send(answerPath(question, format), TYPES[format], token());
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = `${question.metric}.${format}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
