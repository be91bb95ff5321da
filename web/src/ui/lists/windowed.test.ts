import { expect, it } from 'vitest';
import { STRETCH, stretches } from './windowed';

it('cuts a list into whole lines of a grid, and loses nothing', () => {
  const items = Array.from({ length: 2 * STRETCH + 5 }, (_, place) => place);
  const parts = stretches(items);
  expect(parts.map((part) => part.length)).toEqual([STRETCH, STRETCH, 5]);
  expect(parts.flat()).toEqual(items);
  for (const columns of [1, 2, 3, 4, 6, 8]) expect(STRETCH % columns).toBe(0);
  expect(stretches([])).toEqual([]);
});
