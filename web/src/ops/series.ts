/** How jobs ended over time, made ready to be drawn: one column a step, also for steps in which nothing ended. */
import type { SeriesPoint } from '../api/types';

export interface Span {
  value: string;
  label: string;
  /** How far it looks back, and how long a step is (as the API has it). */
  backS: number;
  stepS: number;
}

export const SPANS: readonly Span[] = [
  { value: '3600', label: 'Hour', backS: 3600, stepS: 300 },
  { value: '86400', label: 'Day', backS: 86_400, stepS: 3600 },
  { value: '604800', label: 'Week', backS: 604_800, stepS: 21_600 },
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
  /** Seconds, averaged over all that ended; null when nothing did. */
  waitS: number | null;
  runS: number | null;
}

/** Columns of one queue from the step that `now - span` lies in to that of `now` (ms), oldest first. */
export function columns(points: readonly SeriesPoint[], queue: string, span: Span, now: number): Column[] {
  const stepMs = span.stepS * 1000;
  const last = Math.floor(now / stepMs) * stepMs;
  const first = Math.floor((now - span.backS * 1000) / stepMs) * stepMs;
  const found = new Map(
    points.filter((point) => point.queue === queue).map((point) => [Date.parse(point.at), point]),
  );
  const made: Column[] = [];
  for (let at = first; at <= last; at += stepMs) {
    const point = found.get(at);
    made.push({
      at,
      succeeded: point?.succeeded ?? 0,
      failed: point?.failed ?? 0,
      cancelled: point?.cancelled ?? 0,
    });
  }
  return made;
}

/** Everything of one queue in the span, or of all queues. */
export function sums(points: readonly SeriesPoint[], queue?: string): Sums {
  const total = { succeeded: 0, failed: 0, cancelled: 0, ended: 0, wait: 0, run: 0 };
  for (const point of points) {
    if (queue !== undefined && point.queue !== queue) continue;
    const ended = point.succeeded + point.failed + point.cancelled;
    total.succeeded += point.succeeded;
    total.failed += point.failed;
    total.cancelled += point.cancelled;
    total.ended += ended;
    total.wait += point.wait_s * ended;
    total.run += point.run_s * ended;
  }
  const { wait, run, ...counts } = total;
  const average = (sum: number): number | null => (total.ended ? sum / total.ended : null);
  return { ...counts, waitS: average(wait), runS: average(run) };
}
