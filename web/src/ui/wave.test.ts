import { describe, expect, it } from 'vitest';
import { barsPath, exampleWave, summits } from './wave';

describe('bars', () => {
  it('stand evenly around the middle', () => {
    expect(barsPath([0.5, 1], 100, 40)).toBe('M25.0 10.0v20.0M75.0 0.0v40.0');
  });

  it('are drawn only where they are wanted, and never vanish', () => {
    expect(barsPath([0, 1, 0], 90, 100, 0, 1)).toBe('M15.0 48.0v4.0');
  });
});

describe('a summary', () => {
  it('keeps every peak', () => {
    expect(summits([0, 9, 1, 2, 8, 0], 3)).toEqual([9, 2, 8]);
    expect(summits([5], 3)).toEqual([5, 5, 5]);
    expect(summits([], 2)).toEqual([0, 0]);
  });
});

it('draws the same example every time, within bounds', () => {
  const peaks = [{ at: 0.5, width: 0.2 }];
  const wave = exampleWave(200, peaks);
  expect(wave).toEqual(exampleWave(200, peaks));
  expect(Math.max(...wave)).toBeLessThanOrEqual(0.95);
  expect(wave[100]).toBeGreaterThan(0.55);
});
