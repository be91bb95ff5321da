/** Where somebody wanted to go before the login; only pages of this site. */
export function nextPath(search: string, fallback = '/recordings'): string {
  const next = new URLSearchParams(search).get('next') ?? '';
  return /^\/(?![/\\])/.test(next) ? next : fallback;
}
