import { expect, test } from 'vitest';
import { codeIn } from './code';

test.each([
  ['K7MZ4Q', 'K7MZ4Q'],
  [' k7m z4q ', 'K7MZ4Q'],
  ['K7M-Z4Q', 'K7MZ4Q'],
  ['https://clips.example/spaces/K7MZ4Q', 'K7MZ4Q'],
  ['https://clips.example/spaces/k7mz4q/?from=mail#chat', 'K7MZ4Q'],
  ['K7MZ4', undefined],
  ['K7MZ40', undefined],
  ['', undefined],
])('the code in %j is %j', (typed, code) => {
  expect(codeIn(typed)).toBe(code);
});
