/** Another language: for the pages of this browser, and for the mails of the account. */
import { choose, type Language } from '../../text';
import { session } from '../session.svelte';

/** Use a language from now on; the pages change even when the account cannot be reached. */
export async function speak(next: Language): Promise<void> {
  try {
    if (session.state === 'in') await session.change({ language: next });
  } finally {
    choose(next);
  }
}
