/** Times and durations in words; everything is shown in the reader's own zone. */

const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

/** How long something takes: `0.4 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 9.95) return `${s < 0.05 ? '0' : s.toFixed(1)} s`;
  const whole = Math.round(s);
  if (whole < MINUTE_S) return `${whole} s`;
  if (whole < HOUR_S) return two(whole, MINUTE_S, 'min', 1, 's');
  if (whole < DAY_S) return two(whole, HOUR_S, 'h', MINUTE_S, 'min');
  return two(whole, DAY_S, 'd', HOUR_S, 'h');
}

function two(s: number, large: number, largeName: string, small: number, smallName: string): string {
  const rest = Math.floor((s % large) / small);
  return `${Math.floor(s / large)} ${largeName}${rest ? ` ${rest} ${smallName}` : ''}`;
}

/** Seconds between two times of the API; null when one of them has not come. */
export function between(from: string | null, to: string | null): number | null {
  return from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : null;
}

/** An ISO time as a `datetime-local` field wants it, in the reader's zone; empty for none. */
export function toField(iso: string): string {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return '';
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

/** The value of a `datetime-local` field as ISO in UTC; empty for none. */
export function fromField(value: string): string {
  const at = new Date(value);
  return value && !Number.isNaN(at.getTime()) ? at.toISOString() : '';
}
