import { expect, test } from 'vitest';
import { backoffMs } from './backoff';

test('waits grow from one second to fifteen and keep half of it at random', () => {
  expect([1, 2, 3, 4, 5, 50].map((failures) => backoffMs(failures, 1))).toEqual([
    1000, 2000, 4000, 8000, 15_000, 15_000,
  ]);
  expect(backoffMs(3, 0)).toBe(2000);
});
