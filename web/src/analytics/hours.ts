/** The hours of a week in the reader's own zone, out of those that the API counts in UTC. */
import type { Analytics } from '../api/types';

type Busy = Analytics['busy_hours'];
const WEEK_H = 7 * 24;
const MONDAY_MS = Date.UTC(2024, 0, 1);
const HOUR_MS = 3_600_000;

export interface Hour {
  /** 0 is Monday. */
  weekday: number;
  hour: number;
  messages: number;
}

/** Every hour that something was said in; `offsetH` is how far the reader's clock is ahead of UTC. */
export function ownHours(busy: Busy, offsetH: number): Hour[] {
  return busy.map(({ weekday, hour, messages }) => {
    const place = ((((weekday - 1) * 24 + hour + Math.round(offsetH)) % WEEK_H) + WEEK_H) % WEEK_H;
    return { weekday: Math.floor(place / 24), hour: place % 24, messages };
  });
}

/** A moment (ms, UTC) in that hour of some week, to be named by Intl with `timeZone: 'UTC'`. */
export function momentOf(weekday: number, hour: number): number {
  return MONDAY_MS + (weekday * 24 + hour) * HOUR_MS;
}
