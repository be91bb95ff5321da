/** The items of a list that the reader picked, and what is done with all of them at once. */
import { SvelteSet } from 'svelte/reactivity';
import { session } from '../session.svelte';
import { toasts } from '../toasts.svelte';
import { forEach, type Outcome } from './batch';
import { sentence } from './fault';
import { live } from './live.svelte';

export interface Said {
  done: (n: number) => string;
  partly: (done: number, all: number, problem: string) => string;
}

export class Picks<T extends { id: string }> {
  isBusy = $state(false);
  readonly #ids = new SvelteSet<string>();

  has(item: T): boolean {
    return this.#ids.has(item.id);
  }

  toggle(item: T): void {
    if (!this.#ids.delete(item.id)) this.#ids.add(item.id);
  }

  clear(): void {
    this.#ids.clear();
  }

  /** Do it for each, then let go of what was picked and load everything again. */
  async run(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<Outcome> {
    this.isBusy = true;
    const outcome = await forEach(items, work);
    this.isBusy = false;
    this.clear();
    live.refresh();
    return outcome;
  }

  /** The same, and say how many it worked for, or why not for all. */
  async tell(items: readonly T[], work: (item: T) => Promise<unknown>, said: Said): Promise<void> {
    const { done, problems } = await this.run(items, work);
    const [problem] = problems;
    if (problem === undefined) toasts.tell(said.done(done));
    else toasts.warn(said.partly(done, items.length, sentence(session.heed(problem))));
  }
}
