import { describe, expect, it } from 'vitest';
import { relative, size, sizeWithin, span, timecode } from './when';

describe('places and lengths', () => {
  it.each([
    [0, '0:00'],
    [29, '0:29'],
    [59.6, '1:00'],
    [2042, '34:02'],
    [4360, '1:12:40'],
  ])('%d s are %s', (seconds, words) => {
    expect(timecode(seconds)).toBe(words);
  });

  it('shows parts of a second without rounding past them', () => {
    expect([timecode(2051.2, 2), timecode(59.999, 2), timecode(0.29, 1)]).toEqual([
      '34:11.20',
      '0:59.99',
      '0:0.2'.replace('0:0', '0:00'),
    ]);
  });

  it.each([
    [6.4, '6 s'],
    [130, '2 min'],
    [3900, '1 h 5 min'],
    [7200, '2 h'],
  ])('%d s are about %s', (seconds, words) => {
    expect(span(seconds)).toBe(words);
  });
});

it('says how long ago in one unit', () => {
  const now = 1_000_000_000;
  expect(relative(now - 90_000, now)).toBe('1 min ago');
  expect(relative(now + 7_200_000, now)).toMatch(/^in 2 hr/);
});

it.each([
  [999, '999 B'],
  [412_000_000, '412 MB'],
  [2_900_000_000, '2.9 GB'],
])('%d bytes are %s', (bytes, words) => {
  expect(size(bytes)).toBe(words);
});

it('shows a part in the unit of its whole', () => {
  expect(sizeWithin(1_800_000_000, 2_900_000_000)).toBe('1.8');
  expect(sizeWithin(412_000_000, 640_000_000)).toBe('412');
});
