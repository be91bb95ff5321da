/** What an operator can do to many jobs at once, in words. */
import { counted } from '../format/number';

export interface Action {
  name: 'retry' | 'run-next' | 'cancel' | 'discard';
  label: string;
  /** What kind of job it is for, to be counted. */
  noun: string;
  /** Whether it cannot be taken back. */
  isFinal: boolean;
  /** What happens, before it does. */
  explanation: string;
  done: (n: number) => string;
}

export const ACTIONS: readonly Action[] = [
  {
    name: 'retry',
    label: 'Retry',
    noun: 'dead job',
    isFinal: false,
    explanation: 'They are queued again, each with a fresh allowance of attempts.',
    done: (n) => `${counted(n, 'job')} queued again.`,
  },
  {
    name: 'run-next',
    label: 'Run next',
    noun: 'queued job',
    isFinal: false,
    explanation: 'They go before everybody’s as soon as a slot is free.',
    done: (n) => `${counted(n, 'job')} put first.`,
  },
  {
    name: 'cancel',
    label: 'Cancel',
    noun: 'queued or running job',
    isFinal: true,
    explanation:
      'Queued ones end at once and running ones within two seconds. What they hold of a quota is given back. A cancelled job does not begin again.',
    done: (n) => `${counted(n, 'job')} cancelled.`,
  },
  {
    name: 'discard',
    label: 'Discard',
    noun: 'dead job',
    isFinal: true,
    explanation: 'They are deleted with their history, and cannot be retried any more.',
    done: (n) => `${counted(n, 'job')} discarded.`,
  },
];
