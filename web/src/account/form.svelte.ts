/** A form that is sent once at a time, and the sentence about what was wrong with it. */
import { ApiError } from '../api/client';
import { sentence } from '../app/data/fault';

export class Form {
  isBusy = $state(false);
  /** About the whole form; empty when a field is to blame, or nothing. */
  problem = $state('');
  /** By the field's name in the API. */
  problems = $state.raw<Record<string, string>>({});

  /** Run `work`; returns whether it went well. */
  async send(work: () => Promise<unknown>): Promise<boolean> {
    if (this.isBusy) return false;
    this.isBusy = true;
    this.problem = '';
    this.problems = {};
    try {
      await work();
      return true;
    } catch (error) {
      const field = error instanceof ApiError ? error.field : undefined;
      if (field) this.problems = { [field]: sentence(error) };
      else this.problem = sentence(error);
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
