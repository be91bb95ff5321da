import { expect, it } from 'vitest';
import type { SeriesPoint } from '../api/types';
import { columns, DAY, spanOf, SPANS, sums } from './series';

const NOW = Date.parse('2026-01-31T12:34:00Z');

function point(at: string, changes: Partial<SeriesPoint> = {}): SeriesPoint {
  return { at, queue: 'render', succeeded: 0, failed: 0, cancelled: 0, wait_s: 0, run_s: 0, ...changes };
}

it('has a column for every step, also for those in which nothing ended', () => {
  const drawn = columns([point('2026-01-31T11:00:00Z', { succeeded: 3 })], 'render', DAY, NOW);
  expect(drawn).toHaveLength(25);
  expect(drawn[0]?.at).toBe(Date.parse('2026-01-30T12:00:00Z'));
  expect(drawn.at(-1)?.at).toBe(Date.parse('2026-01-31T12:00:00Z'));
  expect(drawn.at(-2)?.succeeded).toBe(3);
  expect(drawn.reduce((all, each) => all + each.succeeded, 0)).toBe(3);
});

it('lays no point of the API beside a column, whichever span', () => {
  for (const span of SPANS) {
    const stepMs = span.stepS * 1000;
    const at = new Date(Math.floor(NOW / stepMs) * stepMs).toISOString();
    expect(columns([point(at, { failed: 1 })], 'render', span, NOW).at(-1)?.failed).toBe(1);
  }
});

it('keeps queues apart', () => {
  const points = [point('2026-01-31T12:00:00Z', { queue: 'detect', failed: 2 })];
  expect(columns(points, 'render', DAY, NOW).every((each) => each.failed === 0)).toBe(true);
  expect(sums(points, 'render').ended).toBe(0);
  expect(sums(points).failed).toBe(2);
});

it('averages times over jobs, not over steps', () => {
  const points = [
    point('2026-01-31T11:00:00Z', { succeeded: 1, wait_s: 10, run_s: 100 }),
    point('2026-01-31T12:00:00Z', { succeeded: 2, failed: 1, wait_s: 2, run_s: 20 }),
  ];
  expect(sums(points, 'render')).toMatchObject({ ended: 4, waitS: 4, runS: 40 });
  expect(sums([]).waitS).toBeNull();
});

it('falls back to a day where the address says nothing that there is', () => {
  expect(spanOf(null)).toBe(DAY);
  expect(spanOf('7')).toBe(DAY);
  expect(spanOf('3600').label).toBe('Hour');
});
