/** What an operator can do to many jobs at once. */

export type ActionName = 'retry' | 'run-next' | 'cancel' | 'discard';

export interface Action {
  name: ActionName;
  /** Whether it cannot be taken back. */
  isFinal: boolean;
}

export const ACTIONS: readonly Action[] = [
  { name: 'retry', isFinal: false },
  { name: 'run-next', isFinal: false },
  { name: 'cancel', isFinal: true },
  { name: 'discard', isFinal: true },
];
