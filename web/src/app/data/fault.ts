/** What to tell a person of something that went wrong, in their language. */
import { ApiError } from '../../api/client';
import { decimal } from '../../format/when';
import { text } from '../../text';
import type { Cause, Details, Said } from '../../text/en/errors';

/** Why work on a recording or clip failed, as the API tells it. */
interface StoredError extends Cause {
  code: string;
  stream?: number | null;
  time_s?: number | null;
}

/** The catalogue's sentence for the error's reason, field or code, or else the API's own. */
export function sentence(error: unknown): string {
  if (!(error instanceof ApiError)) return text.shell.faults.own;
  if (error.code === 'unreachable') return text.shell.faults.unreachable;
  if (error.code === 'unreadable') return text.shell.faults.unreadable;
  const { reasons, fields, codes } = text.errors;
  const { code, details } = error;
  const found = reasons[String(details['reason'])] ?? (code === 'invalid_field' && fields[error.field ?? '']);
  return said(found || codes[code], details) ?? error.message;
}

/** Why work failed and what to do: in the catalogue's words where it knows the code, with the place in the file. */
export function cause(error: StoredError): Cause {
  const known = text.errors.causes[error.code];
  if (!known) return apart(error);
  const { stream, at } = text.errors;
  const parts = [
    typeof error.stream === 'number' ? stream(error.stream) : '',
    typeof error.time_s === 'number' ? at(decimal(error.time_s, 1)) : '',
  ];
  const place = parts.filter(Boolean).join(', ');
  const message = place ? `${known.message.replace(/\.$/, '')} (${place}).` : known.message;
  return { message, remedy: known.remedy };
}

/** The API's own words; its message may end with the remedy. */
function apart({ message, remedy }: Cause): Cause {
  const isTwice = remedy !== '' && message !== remedy && message.endsWith(remedy);
  return { message: isTwice ? message.slice(0, -remedy.length).trimEnd() : message, remedy };
}

function said(what: Said | undefined, details: Details): string | undefined {
  return typeof what === 'function' ? what(details) : what;
}
