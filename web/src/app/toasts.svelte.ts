/** Short messages about what was just done, read out by screen readers and gone after a while. */
import type { IconName } from '../ui/icons/icons';

const SHOWN_MS = 8000;

interface Action {
  label: string;
  run: () => void;
}

export interface Toast {
  id: number;
  text: string;
  isProblem: boolean;
  icon: IconName;
  action: Action | undefined;
}

class Toasts {
  items = $state.raw<Toast[]>([]);
  #last = 0;

  tell(text: string, { icon = 'check', action }: { icon?: IconName; action?: Action } = {}): void {
    this.#add({ text, isProblem: false, icon, action });
  }

  warn(text: string): void {
    this.#add({ text, isProblem: true, icon: 'warn', action: undefined });
  }

  drop(id: number): void {
    this.items = this.items.filter((item) => item.id !== id);
  }

  #add(toast: Omit<Toast, 'id'>): void {
    const id = (this.#last += 1);
    this.items = [...this.items.slice(-2), { id, ...toast }];
    // What went wrong stays until it is dismissed.
    if (!toast.isProblem)
      setTimeout(() => {
        this.drop(id);
      }, SHOWN_MS);
  }
}

export const toasts = new Toasts();
