/** Pauses between words, to which the ends of a clip snap. */

const QUIET_SHARE = 0.3;
const LEAST_S = 0.15;
const REACH_S = 0.8;

/** The middles of quiet stretches, in seconds: where the peaks stay below a share of what is usual. */
export function pauses(peaks: readonly number[], rate: number): number[] {
  const usual = [...peaks].sort((a, b) => a - b)[Math.floor(peaks.length * 0.75)] ?? 0;
  const limit = usual * QUIET_SHARE;
  const found: number[] = [];
  let start = -1;
  for (let place = 0; place <= peaks.length; place += 1) {
    const isQuiet = place < peaks.length && (peaks[place] ?? 0) <= limit;
    if (isQuiet && start < 0) start = place;
    if (!isQuiet && start >= 0) {
      if ((place - start) / rate >= LEAST_S) found.push((start + place) / 2 / rate);
      start = -1;
    }
  }
  return found;
}

/** The nearest of sorted times to `at` within reach, or `at` itself. */
export function snapped(at: number, times: readonly number[], reach = REACH_S): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? 0) < at) low = middle + 1;
    else high = middle;
  }
  const near = [times[low - 1], times[low]].filter((each) => each !== undefined);
  const best = near.sort((a, b) => Math.abs(a - at) - Math.abs(b - at))[0];
  return best !== undefined && Math.abs(best - at) <= reach ? best : at;
}
