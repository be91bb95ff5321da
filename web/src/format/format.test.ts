import { describe, expect, it } from 'vitest';
import { listed } from './details';
import { bytes, percent } from './number';
import { between, duration, fromField, toField } from './time';

describe('times', () => {
  it.each([
    [0, '0 s'],
    [0.04, '0 s'],
    [1.25, '1.3 s'],
    [9.96, '10 s'],
    [59.4, '59 s'],
    [60, '1 min'],
    [192, '3 min 12 s'],
    [7500, '2 h 5 min'],
    [273_600, '3 d 4 h'],
    [-3, '0 s'],
  ])('%d s are %s', (seconds, words) => {
    expect(duration(seconds)).toBe(words);
  });

  it('goes through a field and back to the minute', () => {
    const at = '2026-01-31T12:34:00.000Z';
    expect(fromField(toField(at))).toBe(at);
    expect([toField(''), toField('yesterday'), fromField('')]).toEqual(['', '', '']);
  });

  it('measures only between times that are there', () => {
    expect(between('2026-01-31T12:00:00Z', '2026-01-31T12:00:02.5Z')).toBe(2.5);
    expect(between('2026-01-31T12:00:00Z', null)).toBeNull();
  });
});

describe('numbers', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [734_003_200, '700 MiB'],
  ])('%d bytes are %s', (n, words) => {
    expect(bytes(n)).toBe(words);
  });

  it('knows no share of nothing', () => {
    expect([percent(0, 0), percent(1, 300), percent(1, 4)]).toEqual(['–', '0.3 %', '25 %']);
    expect([percent(1, 9999), percent(323, 324), percent(9999, 10_000), percent(7, 7)]).toEqual([
      '0.1 %',
      '99.7 %',
      '99.9 %',
      '100 %',
    ]);
  });
});

describe('details', () => {
  it.each([
    [{}, ''],
    [{ changed: 3, queue: 'render' }, 'changed: 3 · queue: render'],
    [
      { is_paused: true, filter: { kind: 'detect' }, slots: {} },
      'is paused: true · filter: kind: detect · slots: none',
    ],
    [{ was: null }, 'was: null'],
  ])('%j are listed as "%s"', (details, words) => {
    expect(listed(details)).toBe(words);
  });
});
