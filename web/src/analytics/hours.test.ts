import { expect, it } from 'vitest';
import { momentOf, ownHours } from './hours';

it.each([
  [0, 7, 23, 6, 23],
  [1, 7, 23, 0, 0],
  [-2, 1, 1, 6, 23],
  [5.5, 3, 10, 2, 16],
])('an offset of %d h moves day %d, %d:00 to day %d, %d:00', (offsetH, weekday, hour, day, own) => {
  expect(ownHours([{ weekday, hour, messages: 3 }], offsetH)).toEqual([
    { weekday: day, hour: own, messages: 3 },
  ]);
});

it('names Monday first', () => {
  const name = new Intl.DateTimeFormat('en-GB', { weekday: 'long', timeZone: 'UTC' });
  expect(name.format(momentOf(0, 0))).toBe('Monday');
  expect(new Date(momentOf(6, 23)).getUTCHours()).toBe(23);
});
