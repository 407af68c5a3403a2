// Who is signed in. The token is kept in this tab alone, and forgotten with it.

const KEY = 'imprimatur.token';

let session = null;

export const token = () => sessionStorage.getItem(KEY) ?? '';
export const current = () => session;

export function remember(text, told) {
  sessionStorage.setItem(KEY, text);
  session = told;
}

/** Signs out; the frame hears of it by the event `signed-out`, with the refusal that made it necessary, if one did. */
export function forget(why = null) {
  sessionStorage.removeItem(KEY);
  session = null;
  dispatchEvent(new CustomEvent('signed-out', { detail: why }));
}

/** The pages, in the order of the menu, and who may see them. */
export const ROOMS = [
  { name: 'overview', title: 'Overview', roles: ['engineer', 'compliance', 'operator'] },
  { name: 'explore', title: 'Explore', roles: ['engineer'] },
  { name: 'compliance', title: 'Compliance', roles: ['compliance'] },
];

export const may = (room, role) => ROOMS.some((one) => one.name === room && one.roles.includes(role));

/** What a role may do, for people. */
export const ROLES = {
  engineer: 'asks registered metrics about groups of printers, and sees the overview',
  compliance: 'sees the last report, requests with their due dates, the log and the overview; asks no metric',
  operator: 'sees the overview and the server\'s own metrics; asks no metric',
};
