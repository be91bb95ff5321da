import { expect, it } from 'vitest';
import { nextPath } from './next';

it.each([
  ['?next=%2Fclips%3Fq%3Da', '/clips?q=a'],
  ['', '/recordings'],
  ['?next=https%3A%2F%2Fevil.example', '/recordings'],
  ['?next=%2F%2Fevil.example', '/recordings'],
  ['?next=%2F%5Cevil.example', '/recordings'],
])('%s leads to %s', (search, path) => {
  expect(nextPath(search)).toBe(path);
});
