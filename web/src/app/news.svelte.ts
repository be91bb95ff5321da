/** Short messages about what was just done, read out by screen readers and gone after a while. */

const SHOWN_MS = 8000;

interface Message {
  id: number;
  text: string;
  isProblem: boolean;
}

class News {
  messages = $state<Message[]>([]);
  #last = 0;

  tell(text: string): void {
    this.#add(text, false);
  }

  warn(text: string): void {
    this.#add(text, true);
  }

  drop(id: number): void {
    this.messages = this.messages.filter((message) => message.id !== id);
  }

  #add(text: string, isProblem: boolean): void {
    const id = (this.#last += 1);
    this.messages = [...this.messages.slice(-2), { id, text, isProblem }];
    // What went wrong stays until it is put away.
    if (!isProblem)
      setTimeout(() => {
        this.drop(id);
      }, SHOWN_MS);
  }
}

export const news = new News();
