/** Reactions that float over the room for a moment. */
export interface Floating {
  id: number;
  emoji: string;
  /** In percent of the width. */
  left: number;
}

const FLOAT_MS = 2600;
const MAX_FLOATS = 24;

export class Floats {
  items = $state.raw<readonly Floating[]>([]);
  #number = 0;

  add(emoji: string): void {
    const id = (this.#number += 1);
    const left = 8 + ((id * 37) % 84);
    this.items = [...this.items.slice(1 - MAX_FLOATS), { id, emoji, left }];
    setTimeout(() => {
      this.items = this.items.filter((each) => each.id !== id);
    }, FLOAT_MS);
  }
}
