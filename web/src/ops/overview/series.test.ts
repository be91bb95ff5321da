import { expect, it } from 'vitest';
import type { SeriesPoint } from '../../api/types';
import { columns, DAY, scale, spanOf, SPANS, sums } from './series';

const NOW = Date.parse('2026-01-31T12:34:00Z');

function point(at: string, changes: Partial<SeriesPoint> = {}): SeriesPoint {
  return { at, queue: 'render', succeeded: 0, failed: 0, cancelled: 0, wait_s: 0, run_s: 0, ...changes };
}

it('has a column for every step, also for those in which nothing ended', () => {
  const drawn = columns([point('2026-01-31T11:00:00Z', { succeeded: 3 })], DAY, NOW, 'render');
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
    expect(columns([point(at, { failed: 1 })], span, NOW, 'render').at(-1)?.failed).toBe(1);
  }
});

it('keeps queues apart', () => {
  const points = [point('2026-01-31T12:00:00Z', { queue: 'detect', failed: 2 })];
  expect(columns(points, DAY, NOW, 'render').every((each) => each.failed === 0)).toBe(true);
  expect(sums(points, 'render').ended).toBe(0);
  expect(sums(points).failed).toBe(2);
});

it('adds the queues up where none is named', () => {
  const at = '2026-01-31T12:00:00Z';
  const points = [point(at, { queue: 'detect', failed: 2 }), point(at, { succeeded: 3 })];
  expect(columns(points, DAY, NOW).at(-1)).toMatchObject({ succeeded: 3, failed: 2 });
  expect(sums(points)).toMatchObject({ ended: 5, succeeded: 3, failed: 2 });
});

it('falls back to a day where the address says nothing that there is', () => {
  expect(spanOf(null)).toBe(DAY);
  expect(spanOf('7')).toBe(DAY);
  expect(spanOf('3600').name).toBe('hour');
});

it.each([
  [0, 4],
  [4, 4],
  [5, 10],
  [11, 20],
  [39, 40],
  [41, 100],
  [1527, 2000],
])('an axis for %d ends at %d', (most, top) => {
  expect(scale(most)).toBe(top);
});
