import { describe, expect, it } from 'vitest';
import { barsOf, peakBetween, scoreAt, scoreY } from './paint';

describe('peaks', () => {
  const peaks = [0, 10, 4, 8];
  it('are the greatest of a stretch', () => {
    expect(peakBetween(peaks, 1, 0, 4)).toBe(10);
    expect(peakBetween(peaks, 1, 2, 4)).toBe(8);
    expect(peakBetween(peaks, 1, 3, 99)).toBe(8);
  });

  it('are the same in blocks as one by one', () => {
    const many = Array.from({ length: 5000 }, (_, place) => (place * 7919) % 251);
    for (const [from, to] of [
      [0, 5000],
      [3, 4999],
      [63, 65],
      [64, 128],
      [100, 900],
      [4990, 6000],
    ] as const)
      expect(peakBetween(many, 1, from, to)).toBe(Math.max(...many.slice(from, to)));
  });

  it('go from one to the next where the picture is finer than the sound', () => {
    expect(peakBetween(peaks, 1, 0.9, 1.1)).toBeCloseTo(5);
    expect(peakBetween(peaks, 1, 1.45, 1.55)).toBeCloseTo(10);
    expect(peakBetween([], 1, 0, 0.1)).toBe(0);
  });
});

it('sets bars on a grid of time, so that they stay the same while they move', () => {
  const peaks = Array.from({ length: 600 }, (_, place) => (place * 7) % 100);
  const one = barsOf(peaks, 10, { from: 10, to: 20 }, 350, 100);
  const next = barsOf(peaks, 10, { from: 11, to: 21 }, 350, 100);
  expect(next.step).toBeCloseTo(one.step);
  const shift = next.first - one.first;
  expect(shift).toBeGreaterThan(0);
  expect(next.heights.slice(0, 50)).toEqual(one.heights.slice(shift, shift + 50));
  expect(one.heights.length).toBeLessThan(110);
});

it('goes from a score to its height and back', () => {
  for (const value of [0, 0.3, 0.7, 1]) expect(scoreAt(scoreY(value, 58), 58)).toBeCloseTo(value);
});
