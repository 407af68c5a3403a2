// Light or dark before the first paint: as the system says, or as the reader chose. Not a module, so that nothing flashes.
'use strict';

(() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const kept = () => {
    try {
      return localStorage.getItem('theme');
    } catch {
      return null;
    }
  };
  const keep = (theme) => {
    try {
      localStorage.setItem('theme', theme);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  };
  const isDark = () => (root.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const changed = () => dispatchEvent(new Event('theme'));

  const chosen = kept();
  if (chosen === 'dark' || chosen === 'light') root.dataset.theme = chosen;
  system.addEventListener('change', changed);

  addEventListener('DOMContentLoaded', () => {
    const button = document.getElementById('theme');
    const say = () => {
      button.textContent = isDark() ? 'Light' : 'Dark';
      button.setAttribute('aria-label', isDark() ? 'Switch to light colours' : 'Switch to dark colours');
    };
    button.addEventListener('click', () => {
      root.dataset.theme = isDark() ? 'light' : 'dark';
      keep(root.dataset.theme);
      changed();
    });
    addEventListener('theme', say);
    say();
  });
})();
