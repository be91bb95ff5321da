import { expect, it } from 'vitest';
import { forEach } from './batch';

it('does what it can, and tells what it could not', async () => {
  const outcome = await forEach([1, 2, 3, 4, 5, 6], (n) =>
    n % 3 ? Promise.resolve() : Promise.reject(new Error(String(n))),
  );
  expect(outcome.done).toBe(4);
  expect(outcome.problems.map(String).sort()).toEqual(['Error: 3', 'Error: 6']);
});
