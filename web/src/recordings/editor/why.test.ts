import { expect, it } from 'vitest';
import { strongest } from './why';

it('names what raised the score, the most first', () => {
  const reasons = [
    ['voice', 0.12],
    ['base', 0.3],
    ['contrast', 0.54],
    ['loudness', -0.2],
    ['onset', 0.001],
  ].map(([signal, contribution]) => ({
    signal: String(signal),
    weight: 1,
    contribution: Number(contribution),
  }));
  expect(strongest({ reasons }).map((each) => each.signal)).toEqual(['contrast', 'voice']);
});
