/** Every word that the app shows, in the reader's language. English is built in; another one is loaded before the page. */
import en from './en';

export type Text = typeof en;
export type Language = 'en' | 'de';

export const LANGUAGES: Record<Language, string> = { en: 'English', de: 'Deutsch' };
const KEY = 'snuggles.language';

/** The catalogue of the language in use. It is set before anything is drawn, and another language is another page load. */
export let text: Text = en;
export let language: Language = 'en';

/** Load the catalogue of the language that was chosen, or else that of the browser. */
export async function loadText(): Promise<void> {
  language = chosen() ?? fitting(navigator.languages);
  if (language === 'de') text = (await import('./de')).default;
  document.documentElement.lang = language;
}

/** Use another language from now on. */
export function choose(next: Language): void {
  localStorage.setItem(KEY, next);
  window.location.reload();
}

/** The first of `wanted` that there is a catalogue of. */
export function fitting(wanted: readonly string[]): Language {
  const codes = wanted.map((each) => each.slice(0, 2).toLowerCase());
  return codes.find((code): code is Language => code in LANGUAGES) ?? 'en';
}

function chosen(): Language | undefined {
  const stored = localStorage.getItem(KEY);
  return stored !== null && stored in LANGUAGES ? (stored as Language) : undefined;
}
