/** Draws the front page for visitors as HTML, once, when the site is built: it is seen before any script has run. */
import { render } from 'svelte/server';
import type { Language } from '../text';

/** The body of the front page, and what its head says; in a process by itself for each language. */
export async function draw(language: Language): Promise<{ head: string; body: string }> {
  // What modules of the app ask a browser for as they load.
  Object.assign(globalThis, {
    window: { location: { origin: '', pathname: '/', search: '' }, addEventListener: () => undefined },
    document: { cookie: '', documentElement: { dataset: {} } },
    localStorage: { getItem: () => language },
  });
  const { loadText } = await import('../text');
  await loadText();
  const { default: Drawn } = await import('./Drawn.svelte');
  return render(Drawn);
}
