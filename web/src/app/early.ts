/**
 * Runs before the drawn front page is shown, as a script by itself: it applies the reader's theme, leaves the drawn page
 * out for readers it is not for, and starts the app when somebody touches the page. Until then its links do all it needs.
 * Keys as in `theme.svelte.ts`, `text/index.ts` and `session.svelte.ts`.
 */
const TOUCHES = ['pointerover', 'pointerdown', 'keydown', 'focusin'];
const root = document.documentElement;
const app = document.currentScript?.dataset['app'] ?? '';
const theme = localStorage.getItem('snuggles.theme');
const chosen = localStorage.getItem('snuggles.language');
const isForOthers = document.cookie.includes('snuggles_csrf=') || (chosen !== null && chosen !== root.lang);

function start(): void {
  for (const touch of TOUCHES) removeEventListener(touch, start);
  void import(/* @vite-ignore */ app);
}

if (theme) root.dataset['theme'] = theme;
if (isForOthers) {
  root.dataset['awaiting'] = '';
  start();
} else {
  for (const touch of TOUCHES) addEventListener(touch, start, { passive: true });
}
