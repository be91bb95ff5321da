import { expect, it } from 'vitest';
import { Speed } from './speed';

it('is said once there is something to say, and forgets what was long ago', () => {
  const speed = new Speed();
  expect(speed.note(0, 0)).toBe(0);
  expect(speed.note(1000, 1000)).toBe(1000);
  for (let second = 2; second <= 10; second += 1) speed.note(1000 + second, second * 1000);
  expect(speed.note(1012, 11_000)).toBeLessThan(10);
  speed.reset();
  expect(speed.note(5000, 12_000)).toBe(0);
});
