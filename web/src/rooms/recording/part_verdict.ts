/** What to do about a part that could not be sent. */
import { ApiError } from '../../api/client';

/** The recording has ended, or is not ours: nobody will ever take the part. */
const LOST = new Set([404, 409]);
/** A part that storage got wrong, or an address that has expired, is put right by sending the part again. */
const CURABLE = new Set(['storage', 'invalid_field']);
const TRIES = 4;

export type Verdict = 'again' | 'lost' | 'refused';

/** Send it again later, give it up, or stop sending: a refusal that stays is not repeated for ever. */
export function verdict(error: unknown, failures: number): Verdict {
  if (!(error instanceof ApiError) || error.status === 0 || error.isRetryable) return 'again';
  if (CURABLE.has(error.code)) return failures < TRIES ? 'again' : 'refused';
  if (LOST.has(error.status)) return 'lost';
  return error.status >= 400 && error.status < 500 ? 'refused' : 'again';
}
