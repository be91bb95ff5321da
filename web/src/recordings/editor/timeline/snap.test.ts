import { expect, it } from 'vitest';
import { pauses, snapped } from './snap';

it('finds the pauses between words', () => {
  const talk = [90, 80, 5, 4, 3, 85, 95, 2, 88, 90, 1, 1, 1, 1];
  expect(pauses(talk, 10)).toEqual([0.35, 1.2]);
  expect(pauses([], 10)).toEqual([]);
});

it('snaps to the nearest pause within reach', () => {
  const times = [1, 5, 9];
  expect(snapped(4.6, times)).toBe(5);
  expect(snapped(1.7, times)).toBe(1);
  expect(snapped(3, times)).toBe(3);
  expect(snapped(9.5, times)).toBe(9);
  expect(snapped(7, [])).toBe(7);
});
