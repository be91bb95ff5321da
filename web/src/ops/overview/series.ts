/** How jobs ended over time, made ready to be drawn: one column a step, also for steps in which nothing ended. */
import type { SeriesPoint } from '../../api/types';

export interface Span {
  name: 'hour' | 'day' | 'week';
  value: string;
  /** How far it looks back, and how long a step is (as the API has it). */
  backS: number;
  stepS: number;
}

export const SPANS: readonly Span[] = [
  { name: 'hour', value: '3600', backS: 3600, stepS: 300 },
  { name: 'day', value: '86400', backS: 86_400, stepS: 3600 },
  { name: 'week', value: '604800', backS: 604_800, stepS: 21_600 },
];
export const DAY = SPANS[1] as Span;

export function spanOf(value: string | null): Span {
  return SPANS.find((span) => span.value === value) ?? DAY;
}

export interface Column {
  /** When the step begins, in ms. */
  at: number;
  succeeded: number;
  failed: number;
  cancelled: number;
}

export interface Sums {
  succeeded: number;
  failed: number;
  cancelled: number;
  ended: number;
}

/** Columns from the step that `now - span` lies in to that of `now` (ms), oldest first; of one queue, or of all. */
export function columns(points: readonly SeriesPoint[], span: Span, now: number, queue?: string): Column[] {
  const stepMs = span.stepS * 1000;
  const last = Math.floor(now / stepMs) * stepMs;
  const first = Math.floor((now - span.backS * 1000) / stepMs) * stepMs;
  const made = new Map<number, Column>();
  for (let at = first; at <= last; at += stepMs) made.set(at, { at, succeeded: 0, failed: 0, cancelled: 0 });
  for (const point of points) {
    const column = made.get(Date.parse(point.at));
    if (!column || (queue !== undefined && point.queue !== queue)) continue;
    column.succeeded += point.succeeded;
    column.failed += point.failed;
    column.cancelled += point.cancelled;
  }
  return [...made.values()];
}

/** Everything of one queue in the span, or of all queues. */
export function sums(points: readonly SeriesPoint[], queue?: string): Sums {
  const total = { succeeded: 0, failed: 0, cancelled: 0, ended: 0 };
  for (const point of points) {
    if (queue !== undefined && point.queue !== queue) continue;
    const ended = point.succeeded + point.failed + point.cancelled;
    total.succeeded += point.succeeded;
    total.failed += point.failed;
    total.cancelled += point.cancelled;
    total.ended += ended;
  }
  return total;
}

/** The top of an axis that shows up to `most`: the next of 4, 10, 20, 40, 100, … that halves evenly. */
export function scale(most: number): number {
  let top = 4;
  for (const factor of [2.5, 2, 2]) if (top < most) top *= factor;
  return top < most ? 10 * scale(most / 10) : top;
}
