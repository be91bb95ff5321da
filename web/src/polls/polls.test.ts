import { expect, test } from 'vitest';
import type { Results } from '../api/room_events';
import { newer } from './polls.svelte';

const results = (version: number, isHidden = false): Results => ({
  pollId: 'p',
  version,
  status: 'active',
  totalVotes: version,
  isHidden,
  isFinal: false,
  options: null,
  winnerIds: [],
});

test('an older result never replaces a newer one', () => {
  expect(newer(results(3), results(2))?.version).toBe(3);
  expect(newer(results(2), results(3))?.version).toBe(3);
  expect(newer(null, results(1))?.version).toBe(1);
  expect(newer(results(1), null)?.version).toBe(1);
});

test('of the same version the one that shows more stays', () => {
  expect(newer(results(2), results(2, true))?.isHidden).toBe(false);
  expect(newer(results(2, true), results(2))?.isHidden).toBe(false);
});
