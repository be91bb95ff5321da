/** Times, lengths and amounts in the reader's language. */
import { language } from '../text';

const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;
const TAGS = { en: 'en-GB', de: 'de-DE' } as const;

const cache = new Map<string, Intl.DateTimeFormat>();
function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = JSON.stringify(options);
  let found = cache.get(key);
  if (!found) cache.set(key, (found = new Intl.DateTimeFormat(TAGS[language], options)));
  return found;
}

/** `Thu, 27 Nov`, with the year when it is another one. */
export function day(ms: number, now = Date.now()): string {
  const isThisYear = new Date(ms).getFullYear() === new Date(now).getFullYear();
  return dates({
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    ...(isThisYear ? {} : { year: 'numeric' }),
  }).format(ms);
}

/** `15 December 2026`. */
export function fullDay(ms: number): string {
  return dates({ day: 'numeric', month: 'long', year: 'numeric' }).format(ms);
}

/** A time in full: `22 Nov 2026, 15:49:03 UTC`. */
export function exact(ms: number): string {
  return dates({
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
    timeZoneName: 'short',
  }).format(ms);
}

/** A time as seen from `now`: `now`, `5 min ago`, `in 3 hours`. */
export function relative(ms: number, now: number): string {
  const seconds = (ms - now) / 1000;
  const distance = Math.abs(seconds);
  const format = new Intl.RelativeTimeFormat(TAGS[language], { numeric: 'auto', style: 'short' });
  if (distance < MINUTE_S) return format.format(Math.round(seconds), 'second');
  if (distance < HOUR_S) return format.format(Math.trunc(seconds / MINUTE_S), 'minute');
  if (distance < 2 * DAY_S) return format.format(Math.trunc(seconds / HOUR_S), 'hour');
  return format.format(Math.trunc(seconds / DAY_S), 'day');
}

/** `1,204`. */
export function count(n: number): string {
  return new Intl.NumberFormat(TAGS[language], { maximumFractionDigits: 0 }).format(n);
}

/** A number with so many digits after the point: `0.70`, `,70` in other languages. */
export function decimal(n: number, digits: number): string {
  return new Intl.NumberFormat(TAGS[language], {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  }).format(n);
}

/** A length or a place in a recording: `0:29`, `34:02`, `1:12:40`; with `digits`, the part of a second too. */
export function timecode(seconds: number, digits = 0): string {
  const scale = 10 ** digits;
  const all = Math.max(0, digits ? Math.floor(seconds * scale + 1e-6) : Math.round(seconds * scale));
  const whole = Math.floor(all / scale);
  const h = Math.floor(whole / HOUR_S);
  const m = Math.floor((whole % HOUR_S) / MINUTE_S);
  const s = String(whole % MINUTE_S).padStart(2, '0');
  const rest = digits ? `.${String(all % scale).padStart(digits, '0')}` : '';
  return h ? `${h}:${String(m).padStart(2, '0')}:${s}${rest}` : `${m}:${s}${rest}`;
}

/** How long something still takes, roughly: `6 s`, `2 min`, `1 h 5 min`. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < MINUTE_S) return `${s} s`;
  if (s < HOUR_S) return `${Math.round(s / MINUTE_S)} min`;
  const minutes = Math.round((s % HOUR_S) / MINUTE_S);
  return `${Math.floor(s / HOUR_S)} h${minutes ? ` ${minutes} min` : ''}`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes as files show them, by powers of 1000: `8 MB`, `2.9 GB`. */
export function size(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${decimal(value, value < 10 && power > 1 ? 1 : 0)} ${UNITS[power] ?? 'B'}`;
}

/** A part of a whole in the unit of the whole: `1.8 of 2.9 GB` needs `1.8` and `2.9 GB`. */
export function sizeWithin(bytes: number, whole: number): string {
  const power = whole < 1 ? 0 : Math.min(Math.floor(Math.log10(whole) / 3), UNITS.length - 1);
  const total = whole / 1000 ** power;
  return decimal(bytes / 1000 ** power, total < 10 && power > 1 ? 1 : 0);
}
