/** What to tell a person of something that went wrong, in their language. */
import { ApiError } from '../../api/client';
import { text } from '../../text';

/** The API's own sentence, or that of the catalogue where there is one for its code. */
export function sentence(error: unknown): string {
  if (!(error instanceof ApiError)) return text.shell.faults.own;
  if (error.code === 'unreachable') return text.shell.faults.unreachable;
  if (error.code === 'unreadable') return text.shell.faults.unreadable;
  return text.shell.errors[error.code] ?? error.message;
}
