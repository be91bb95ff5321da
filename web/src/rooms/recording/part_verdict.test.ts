import { expect, test } from 'vitest';
import { ApiError } from '../../api/client';
import { verdict } from './part_verdict';

test.each([
  ['no network', new TypeError('fetch failed'), 'again'],
  ['no answer', new ApiError('', 'unreachable', 0), 'again'],
  ['a service that is away', new ApiError('', 'unavailable', 503, true), 'again'],
  ['a gateway without its service', new ApiError('', 'unreadable', 502), 'again'],
  ['too many requests', new ApiError('', 'rate_limited', 429, true), 'again'],
  ['a recording that has ended', new ApiError('', 'conflict', 409), 'lost'],
  ['a track of somebody else', new ApiError('', 'not_found', 404), 'lost'],
  ['a full storage', new ApiError('', 'quota_exceeded', 429), 'refused'],
  ['a part that is too large', new ApiError('', 'payload_too_large', 413), 'refused'],
  ['a session that ended', new ApiError('', 'unauthenticated', 401), 'refused'],
])('after %s', (_, error, expected) => {
  expect(verdict(error, 1)).toBe(expected);
  expect(verdict(error, 50)).toBe(expected);
});

test('what storage got wrong is sent again a few times', () => {
  const expired = new ApiError('', 'storage', 403);
  expect([1, 2, 3, 4].map((failures) => verdict(expired, failures))).toEqual([
    'again',
    'again',
    'again',
    'refused',
  ]);
});
