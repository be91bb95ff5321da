/** Where the reader is: the address bar as state, so that every view can be linked to. */
import { SvelteURLSearchParams } from 'svelte/reactivity';

class Address {
  path = $state(window.location.pathname);
  /** The query that each path had last, so that the way back leads to what was there. */
  readonly #queries = new Map<string, string>();
  readonly query = new SvelteURLSearchParams(window.location.search);

  constructor() {
    this.#queries.set(this.path, window.location.search);
    window.addEventListener('popstate', () => {
      this.#read();
    });
  }

  /** Go to an address of this page. `isReplacing` leaves no step to go back to: for filters while they are set. */
  go(href: string, { isReplacing = false } = {}): void {
    if (href === window.location.pathname + window.location.search) return;
    if (isReplacing) history.replaceState(null, '', href);
    else history.pushState(null, '', href);
    const pathBefore = this.path;
    this.#read();
    if (this.path !== pathBefore) window.scrollTo(0, 0);
  }

  /** Change parts of the query, and stay; an empty value takes its name out. */
  set(changes: Record<string, string>, options: { isReplacing?: boolean } = {}): void {
    const query = new URLSearchParams(window.location.search);
    for (const [name, value] of Object.entries(changes)) {
      if (value) query.set(name, value);
      else query.delete(name);
    }
    this.go(withQuery(this.path, query), options);
  }

  /** The address of a path as it was left. */
  asLeft(path: string): string {
    return path + (this.#queries.get(path) ?? '');
  }

  #read(): void {
    this.path = window.location.pathname;
    this.#queries.set(this.path, window.location.search);
    const now = new URLSearchParams(window.location.search);
    for (const name of new Set(this.query.keys())) if (!now.has(name)) this.query.delete(name);
    for (const [name, value] of now) if (this.query.get(name) !== value) this.query.set(name, value);
  }
}

export const address = new Address();

export function withQuery(path: string, query: URLSearchParams): string {
  const search = query.toString();
  return search ? `${path}?${search}` : path;
}

/** Take over plain clicks on links that `isOurs` says are pages of this document; all others stay the browser's. */
export function followLinks(isOurs: (path: string) => boolean): (event: MouseEvent) => void {
  return (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target instanceof Element ? event.target.closest('a') : null;
    if (!link || link.target || link.download || link.origin !== window.location.origin) return;
    if (link.hash || !isOurs(link.pathname)) return;
    event.preventDefault();
    address.go(link.pathname + link.search);
  };
}

/** Whether a path is `root` or below it. */
export function below(root: string): (path: string) => boolean {
  return (path) => path === root || path.startsWith(`${root}/`);
}
