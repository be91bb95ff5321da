import { describe, expect, it } from 'vitest';
import { matching, type Route } from './routes';

const route = (path: string): Route => ({
  path,
  frame: 'app',
  isPrivate: true,
  load: () => Promise.reject(new Error()),
});
const ROUTES = ['/', '/recordings', '/recordings/:id', '/spaces/:code'].map(route);

describe('an address', () => {
  it.each([
    ['/', '/', {}],
    ['/recordings', '/recordings', {}],
    ['/recordings/', '/recordings', {}],
    ['/recordings/a%20b', '/recordings/:id', { id: 'a b' }],
    ['/spaces/K7MQ4X', '/spaces/:code', { code: 'K7MQ4X' }],
  ])('%s leads to %s', (path, pattern, params) => {
    const found = matching(path, ROUTES);
    expect(found?.route.path).toBe(pattern);
    expect(found?.params).toEqual(params);
  });

  it.each(['/nothing', '/recordings/a/b', '/recordings/%E0%A4%A'])('%s leads nowhere', (path) => {
    expect(matching(path, ROUTES)).toBeUndefined();
  });
});
