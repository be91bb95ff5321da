/** The words of the operators' pages, beside those of the app: only operators load them. */
import { language } from '../../text';
import en from './en';

export type Words = typeof en;

export let words: Words = en;

/** Load the catalogue of the language in use; after `loadText`. */
export async function loadWords(): Promise<void> {
  if (language === 'de') words = (await import('./de')).default;
}
