/** The people who are writing: each for a few seconds after their last event. */
const TYPING_MS = 5000;

export class Typists {
  ids = $state.raw<readonly string[]>([]);
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();

  start(userId: string): void {
    this.stop(userId);
    const timer = setTimeout(() => {
      this.stop(userId);
    }, TYPING_MS);
    this.#timers.set(userId, timer);
    this.ids = [...this.#timers.keys()];
  }

  stop(userId: string): void {
    clearTimeout(this.#timers.get(userId));
    this.#timers.delete(userId);
    this.ids = [...this.#timers.keys()];
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}
