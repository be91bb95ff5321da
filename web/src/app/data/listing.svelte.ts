/** A long list, loaded page by page: the first page stays up to date, older ones are added as the reader comes to them. */
import { sentence } from './fault';
import { watch, type Watched } from './live.svelte';
import { session } from '../session.svelte';

export interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

interface Thing {
  id: string;
}

export class Listing<T extends Thing> {
  readonly first: Watched<Page<T>>;
  #older = $state.raw<T[]>([]);
  #cursor = $state.raw<string | null | undefined>(undefined);
  isLoadingMore = $state(false);
  problem = $state('');
  #load: (cursor: string | null, signal?: AbortSignal) => Promise<Page<T>>;

  /** `key` changes when another question is asked: what was loaded of the one before goes. */
  constructor(
    load: (cursor: string | null, signal?: AbortSignal) => Promise<Page<T>>,
    { key, everyMs }: { key: () => string; everyMs: (items: T[]) => number },
  ) {
    this.#load = load;
    this.first = watch(
      (signal) => load(null, signal),
      (page) => everyMs(page?.items ?? []),
    );
    $effect(() => {
      key();
      this.#older = [];
      this.#cursor = undefined;
    });
  }

  items: T[] = $derived.by(() => {
    const newest = this.first.data?.items ?? [];
    if (!this.#older.length) return newest;
    const known = new Set(newest.map((each) => each.id));
    return [...newest, ...this.#older.filter((each) => !known.has(each.id))];
  });

  get hasMore(): boolean {
    const cursor = this.#cursor === undefined ? this.first.data?.next_cursor : this.#cursor;
    return Boolean(cursor);
  }

  async more(): Promise<void> {
    const cursor = this.#cursor === undefined ? this.first.data?.next_cursor : this.#cursor;
    if (!cursor || this.isLoadingMore) return;
    this.isLoadingMore = true;
    this.problem = '';
    try {
      const page = await this.#load(cursor);
      this.#older = [...this.#older, ...page.items];
      this.#cursor = page.next_cursor ?? null;
    } catch (error) {
      this.problem = sentence(session.heed(error));
    } finally {
      this.isLoadingMore = false;
    }
  }

  /** Change one thing of an older page in place. */
  patch(id: string, change: Partial<T>): void {
    this.#older = this.#older.map((each) => (each.id === id ? { ...each, ...change } : each));
    const page = this.first.data;
    if (page?.items.some((each) => each.id === id))
      this.first.data = {
        ...page,
        items: page.items.map((each) => (each.id === id ? { ...each, ...change } : each)),
      };
  }

  /** Take things out at once, before the service has been asked. */
  drop(ids: ReadonlySet<string>): void {
    this.#older = this.#older.filter((each) => !ids.has(each.id));
    const page = this.first.data;
    if (page) this.first.data = { ...page, items: page.items.filter((each) => !ids.has(each.id)) };
  }
}
