/** What is shown stays up to date: `watch` loads again and again, and keeps what it has while it does. */
import { untrack } from 'svelte';
import { sentence } from './fault';
import { session } from '../session.svelte';

const EVERY_MS = 3000;
/** After failures, so that a service that comes back is not met by everybody at once. */
const LONGEST_MS = 30_000;

class Live {
  /** Whether the reader wants things to stand still. */
  isPaused = $state(false);
  /** Raised to load everything again now. */
  round = $state(0);

  refresh(): void {
    this.round += 1;
  }
}

export const live = new Live();

export class Watched<T> {
  data = $state.raw<T>();
  error = $state.raw<string>();
  /** When `data` came, in ms. */
  at = $state<number>();
  /** Whether what is shown answers an older question, such as the filters before. */
  isStale = $state(false);
}

/**
 * Load now, every few seconds while somebody looks, and whenever a state changes that `load` reads before its first
 * `await`. To be called while a component is set up; ends with it.
 */
export function watch<T>(
  load: (signal: AbortSignal) => Promise<T>,
  everyMs: number | ((data: T | undefined) => number) = EVERY_MS,
): Watched<T> {
  const watched = new Watched<T>();
  let question = 0;

  $effect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let failures = 0;
    question += 1;
    void live.round;

    const settle = async (loading: Promise<T>): Promise<void> => {
      try {
        watched.data = await loading;
        watched.at = Date.now();
        watched.error = undefined;
        failures = 0;
      } catch (error) {
        if (abort.signal.aborted) return;
        failures += 1;
        watched.error = sentence(session.heed(error));
      }
      if (abort.signal.aborted) return;
      watched.isStale = false;
      later();
    };
    const later = (): void => {
      const pause = typeof everyMs === 'number' ? everyMs : everyMs(watched.data);
      timer = setTimeout(again, failures ? Math.min(pause * 2 ** failures, LONGEST_MS) : pause);
    };
    const again = (): void => {
      if (live.isPaused || document.hidden) later();
      else void settle(load(abort.signal));
    };
    const onShow = (): void => {
      if (document.hidden || live.isPaused) return;
      clearTimeout(timer);
      again();
    };

    const first = load(abort.signal);
    untrack(() => {
      watched.isStale = question > 1 && watched.data !== undefined;
      void settle(first);
    });
    document.addEventListener('visibilitychange', onShow);
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onShow);
    };
  });
  return watched;
}
