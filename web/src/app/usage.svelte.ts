/** What is left of the month, for the sidebar and wherever something is about to be used. */
import { send } from '../api/client';
import { session } from './session.svelte';

export interface Used {
  feature: string;
  used: number;
  reserved: number;
  /** -1: no limit. */
  limit: number;
  remaining: number | null;
  resets_at: string | null;
}

class Usage {
  #items = $state.raw<Used[]>([]);

  of(feature: string): Used | undefined {
    return this.#items.find((each) => each.feature === feature);
  }

  /** How many more are allowed; undefined where nobody counts. */
  left(feature: string): number | undefined {
    const item = this.of(feature);
    return item && item.limit >= 0 ? Math.max(0, item.limit - item.used - item.reserved) : undefined;
  }

  /** Ask again. The sidebar does without when the service does not say. */
  async refresh(): Promise<void> {
    if (session.state !== 'in') return;
    try {
      const data = (await send('get', '/api/subscription/usage')) as { items: Used[] };
      this.#items = data.items;
    } catch (error) {
      session.heed(error);
    }
  }
}

export const usage = new Usage();
