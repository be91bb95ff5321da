/** How long to wait before something is tried again. */

const FIRST_MS = 1000;
const LONGEST_MS = 15_000;

/** The wait after so many failures in a row, in ms; `random` (0 to 1) keeps browsers from coming back together. */
export function backoffMs(failures: number, random = Math.random()): number {
  const whole = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.max(0, failures - 1));
  return whole / 2 + (whole / 2) * random;
}
