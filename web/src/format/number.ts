/** Numbers in words. */

/** Bytes by powers of 1024: `312 MiB`. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = n < 1 ? 0 : Math.min(Math.floor(Math.log2(n) / 10), units.length - 1);
  const value = n / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power] ?? ''}`;
}

/** A share of a whole: `0.4 %`, `12 %`; a dash when there is no whole. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const share = (100 * part) / whole;
  return `${share > 0 && share < 9.95 ? share.toFixed(1) : Math.round(share)} %`;
}

/** The first part of an id: enough to tell two apart by eye. */
export function short(id: string): string {
  return id.slice(0, 8);
}
