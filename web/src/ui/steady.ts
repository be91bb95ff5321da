/** Signed addresses change with every answer; a picture keeps the first one that it was given, or it would load again. */

const kept = new Map<string, { url: string; until: number }>();
const KEEP_MS = 4 * 3600 * 1000;
const MOST = 2000;

/** The address to use for a picture of this name. */
export function steady(name: string, url: string | null | undefined, now = Date.now()): string | undefined {
  if (!url) {
    kept.delete(name);
    return undefined;
  }
  const known = kept.get(name);
  if (known && known.until > now) return known.url;
  if (kept.size > MOST) kept.clear();
  kept.set(name, { url, until: now + KEEP_MS });
  return url;
}
