/** What needs the password when the login was a while ago: tried without it, and with it once the API asks. */
import { ApiError } from '../api/client';
import { sentence } from '../app/data/fault';
import { session } from '../app/session.svelte';
import { toasts } from '../app/toasts.svelte';

type Work = (password?: string) => Promise<unknown>;

export class Proof {
  isAsked = $state(false);
  isBusy = $state(false);
  problem = $state('');
  #work: Work | undefined;

  /** Do it; the dialog opens when the API wants the password first. */
  async run(work: Work): Promise<void> {
    if (this.isBusy) return;
    this.isBusy = true;
    try {
      await work();
    } catch (error) {
      if (error instanceof ApiError && error.code === 'fresh_login_required') {
        this.#work = work;
        this.problem = '';
        this.isAsked = true;
      } else toasts.warn(sentence(session.heed(error)));
    } finally {
      this.isBusy = false;
    }
  }

  /** Do it again with the password. */
  async give(password: string): Promise<void> {
    if (this.isBusy || !this.#work) return;
    this.isBusy = true;
    try {
      await this.#work(password);
      this.close();
    } catch (error) {
      this.problem = sentence(session.heed(error));
    } finally {
      this.isBusy = false;
    }
  }

  close(): void {
    this.isAsked = false;
    this.#work = undefined;
  }
}
