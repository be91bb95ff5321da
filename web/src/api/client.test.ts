import { afterEach, describe, expect, it, vi } from 'vitest';
import { address, ApiError, call, cookie } from './client';

const answer = (status: number, body: string): void => {
  vi.stubGlobal('document', { cookie: 'other=1; snuggles_csrf=a%20token' });
  vi.stubGlobal(
    'fetch',
    vi.fn(() => Promise.resolve(new Response(body, { status }))),
  );
};
const sent = (): [string, RequestInit] => vi.mocked(fetch).mock.calls[0] as [string, RequestInit];

afterEach(() => {
  vi.unstubAllGlobals();
});

describe('a request', () => {
  it('fills the address and leaves out what says nothing', () => {
    expect(address('/api/ops/queues/{queue}/pause', { queue: 'a/b' })).toBe('/api/ops/queues/a%2Fb/pause');
    expect(address('/api/ops/jobs', {}, { q: 'x y', kind: '', cursor: null, limit: 50, id: undefined })).toBe(
      '/api/ops/jobs?q=x+y&limit=50',
    );
  });

  it('carries the CSRF token where it changes something, and only there', async () => {
    answer(200, '{"success":true,"data":{"status":"paused"}}');
    const data = await call('post', '/api/ops/queues/{queue}/pause', { path: { queue: 'render' } });
    expect(data.status).toBe('paused');
    expect(sent()[1].headers).toMatchObject({ 'X-CSRF-Token': 'a token' });
    answer(200, '{"success":true,"data":{"items":[]}}');
    await call('get', '/api/ops/workers');
    expect(sent()[1].headers).not.toHaveProperty('X-CSRF-Token');
  });
});

describe('a failure', () => {
  it('says what the API says', async () => {
    answer(409, '{"success":false,"error":{"code":"conflict","message":"It is pending.","details":{}}}');
    const failed = call('get', '/api/ops/workers');
    await expect(failed).rejects.toMatchObject({ message: 'It is pending.', code: 'conflict', status: 409 });
  });

  it('is named where a proxy answers in the API’s place', async () => {
    answer(502, '<html>Bad Gateway</html>');
    await expect(call('get', '/api/ops/workers')).rejects.toMatchObject({ code: 'unreadable', status: 502 });
  });

  it('is named where nobody answers', async () => {
    vi.stubGlobal(
      'fetch',
      vi.fn(() => Promise.reject(new TypeError('failed'))),
    );
    await expect(call('get', '/api/ops/workers')).rejects.toBeInstanceOf(ApiError);
  });

  it('is left as it is where the page itself gave up', async () => {
    const abort = new AbortController();
    abort.abort();
    vi.stubGlobal(
      'fetch',
      vi.fn(() => Promise.reject(new DOMException('aborted', 'AbortError'))),
    );
    const ended = call('get', '/api/ops/workers', { signal: abort.signal });
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
  });
});

it('finds a cookie by its whole name', () => {
  expect(cookie('snuggles_csrf', 'x_snuggles_csrf=1; snuggles_csrf=2')).toBe('2');
  expect(cookie('snuggles_csrf', '')).toBe('');
});
