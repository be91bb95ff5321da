/** The error of a job, a schedule or a delivery: a row's JSON, read with care. */
import { words } from './text';

export interface Failure {
  code: string;
  message: string;
  remedy: string;
  /** Null where nobody said. */
  isRetryable: boolean | null;
  /** Where in the media, if that is known. */
  place: string;
}

export function readFailure(error: Record<string, unknown> | null | undefined): Failure | null {
  if (!error) return null;
  const stream = typeof error['stream'] === 'number' ? words.failure.stream(error['stream']) : '';
  const time = typeof error['time_s'] === 'number' ? words.failure.at(error['time_s'].toFixed(1)) : '';
  return {
    code: text(error['code']) || 'unknown',
    message: text(error['message']) || words.failure.unknown,
    remedy: text(error['remedy']),
    isRetryable: typeof error['retryable'] === 'boolean' ? error['retryable'] : null,
    place: [stream, time].filter(Boolean).join(', '),
  };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** The message without a remedy that it ends with, where the remedy is shown by itself. */
export function cause(failure: Failure): string {
  const { message, remedy } = failure;
  return remedy && message.endsWith(remedy) && message !== remedy
    ? message.slice(0, -remedy.length).trimEnd()
    : message;
}
