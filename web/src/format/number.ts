/** Numbers in words. */
import { decimal } from './when';

/** Bytes by powers of 1024: `312 MiB`. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = n < 1 ? 0 : Math.min(Math.floor(Math.log2(n) / 10), units.length - 1);
  const value = n / 1024 ** power;
  return `${value < 10 && power > 0 ? decimal(value, 1) : Math.round(value)} ${units[power] ?? ''}`;
}

/** A share of a whole: `0.4 %`, `12 %`; a dash when there is no whole. Only nothing is 0 %, and only all of it 100 %. */
export function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const share = (100 * part) / whole;
  const isWhole = share <= 0 || share >= 100 || (share >= 9.95 && share < 99.5);
  return `${isWhole ? Math.round(share) : decimal(Math.min(99.9, Math.max(0.1, share)), 1)} %`;
}

/** The first part of an id: enough to tell two apart by eye. */
export function short(id: string): string {
  return id.slice(0, 8);
}
