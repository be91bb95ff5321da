/** Something the reader does: one at a time, told when it worked and when it did not. */
import { live } from './live.svelte';
import { sentence } from './fault';
import { session } from '../session.svelte';
import { toasts } from '../toasts.svelte';

export class Mutation {
  isBusy = $state(false);

  /** Do it, say `done`, and load everything again; say why when it fails. Returns whether it worked. */
  async run(work: () => Promise<unknown>, done: string): Promise<boolean> {
    if (this.isBusy) return false;
    this.isBusy = true;
    try {
      await work();
      toasts.tell(done);
      live.refresh();
      return true;
    } catch (error) {
      toasts.warn(sentence(session.heed(error)));
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
