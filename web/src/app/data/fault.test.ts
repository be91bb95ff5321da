import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../../api/client';
import de from '../../text/de/errors';

/** The codes of a table in the documentation. */
function documented(page: string, after: string): string[] {
  const text = readFileSync(new URL(`../../../../docs/${page}`, import.meta.url), 'utf8');
  const table = text.slice(text.indexOf(after)).split('\n\n')[0] ?? '';
  return [...table.matchAll(/^\| `(\w+)` \|/gm)].map((found) => found[1] ?? '');
}

const stored = (code: string, message: string, remedy: string, more = {}) => ({
  code,
  message,
  remedy,
  ...more,
});

describe('the German catalogue', () => {
  it('has a sentence for every code of the API', () => {
    const codes = documented('api.md', '| code | status |');
    expect(codes.length).toBeGreaterThan(30);
    expect(codes.filter((code) => !(code in de.codes))).toEqual([]);
  });
  it('has a sentence for every reason', () => {
    const reasons = documented('api.md', '| reason |');
    expect(reasons.length).toBeGreaterThan(30);
    expect(reasons.filter((reason) => !(reason in de.reasons))).toEqual([]);
  });
  it('has a sentence and a remedy for every failure of media work', () => {
    const causes = documented('errors.md', '| code | what it means | what to do |');
    expect(causes.length).toBeGreaterThan(20);
    expect(causes.filter((code) => !(code in de.causes))).toEqual([]);
  });
});

describe('on an English page', async () => {
  const { cause, sentence } = await import('./fault');
  it('the API speaks for itself', () => {
    expect(sentence(new ApiError('The room is locked.', 'room_locked', 409))).toBe('The room is locked.');
  });
  it('a remedy that ends the message is not said twice', () => {
    const error = stored('not_media', 'Not a media file. Send a video.', 'Send a video.');
    expect(cause(error)).toEqual({ message: 'Not a media file.', remedy: 'Send a video.' });
  });
});

describe('on a German page', async () => {
  const { loadText } = await import('../../text');
  const { cause, sentence } = await import('./fault');
  const refused = (code: string, details = {}): string =>
    sentence(new ApiError('In English.', code, 409, false, details));

  beforeAll(async () => {
    vi.stubGlobal('localStorage', { getItem: () => 'de' });
    vi.stubGlobal('document', { documentElement: {} });
    await loadText();
  });
  afterAll(() => vi.unstubAllGlobals());

  it('the reason goes before the code', () => {
    expect(refused('unauthenticated', { reason: 'wrong_login' })).toBe('Adresse oder Passwort stimmt nicht.');
    expect(refused('unauthenticated')).toBe('Melde dich zuerst an.');
  });
  it('a refused field says what it takes', () => {
    expect(refused('invalid_field', { field: 'password' })).toBe('Ein Passwort hat 8 bis 200 Zeichen.');
    expect(refused('invalid_field', { field: 'unheard_of' })).toBe('Eine Angabe stimmt nicht.');
  });
  it('figures of the details stand in the sentence', () => {
    expect(refused('rate_limited', { retry_after_s: 30 })).toContain('30 s');
    expect(refused('payload_too_large', { max_bytes: 2 * 1024 ** 3 })).toMatch(/2,?\d* G/);
    const used = { feature: 'clips_per_month', limit: 5, resets_at: '2026-12-01T00:00:00Z' };
    expect(refused('quota_exceeded', used)).toMatch(/^Alle 5 Clips in diesem Monat sind verbraucht\. Weiter/);
  });
  it('a code that is not known keeps the API’s sentence', () => {
    expect(refused('brand_new')).toBe('In English.');
  });
  it('a failure names its place', () => {
    const error = stored('decode_failed', 'Broken. Send it again.', 'Send it again.', {
      stream: 1,
      time_s: 12.34,
    });
    expect(cause(error).message).toBe('Ein Teil der Datei ließ sich nicht lesen (Spur 1, bei 12,3 s).');
    expect(cause(stored('brand_new', 'New. Do this.', 'Do this.'))).toEqual({
      message: 'New.',
      remedy: 'Do this.',
    });
  });
});
