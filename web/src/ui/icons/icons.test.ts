import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ICONS } from './icons';

it('names every icon of the sprite, and no other', () => {
  const sprite = readFileSync(new URL('icons.svg', import.meta.url), 'utf8');
  const drawn = [...sprite.matchAll(/<symbol id="i-([^"]+)"/g)].map((match) => match[1]);
  expect([...ICONS].sort()).toEqual(drawn.sort());
});
