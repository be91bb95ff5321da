/** Short messages about what was just done, read out by screen readers and gone after a while. */

const SHOWN_MS = 8000;

interface Toast {
  id: number;
  text: string;
  isProblem: boolean;
}

class Toasts {
  items = $state<Toast[]>([]);
  #last = 0;

  tell(text: string): void {
    this.#add(text, false);
  }

  warn(text: string): void {
    this.#add(text, true);
  }

  drop(id: number): void {
    this.items = this.items.filter((item) => item.id !== id);
  }

  #add(text: string, isProblem: boolean): void {
    const id = (this.#last += 1);
    this.items = [...this.items.slice(-2), { id, text, isProblem }];
    // What went wrong stays until it is put away.
    if (!isProblem)
      setTimeout(() => {
        this.drop(id);
      }, SHOWN_MS);
  }
}

export const toasts = new Toasts();
