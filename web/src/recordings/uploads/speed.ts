/** How fast something goes, over the last seconds. */

const WINDOW_MS = 6000;

export class Speed {
  #samples: { at: number; bytes: number }[] = [];

  /** Note how much has gone in all; returns bytes a second, 0 until it can be said. */
  note(bytes: number, at = performance.now()): number {
    this.#samples.push({ at, bytes });
    while ((this.#samples[0]?.at ?? at) < at - WINDOW_MS) this.#samples.shift();
    const first = this.#samples[0];
    if (!first || at - first.at < 500) return 0;
    return Math.max(0, ((bytes - first.bytes) * 1000) / (at - first.at));
  }

  reset(): void {
    this.#samples = [];
  }
}
