/** Sound as bars: the picture of every recording. */

/** A path of upright bars, each `heights[i]` (0 to 1) of `height` high, evenly over `width`, from `from` to `to`. */
export function barsPath(
  heights: readonly number[],
  width: number,
  height: number,
  from = 0,
  to = heights.length,
): string {
  const step = width / heights.length;
  const least = height * 0.02;
  let path = '';
  for (let place = Math.max(0, from); place < Math.min(to, heights.length); place += 1) {
    const half = Math.max(least, ((heights[place] ?? 0) * height) / 2);
    path += `M${(step * (place + 0.5)).toFixed(1)} ${(height / 2 - half).toFixed(1)}v${(2 * half).toFixed(1)}`;
  }
  return path;
}

/** The highest value of each of `count` equal stretches of `values`. */
export function summits(values: ArrayLike<number>, count: number): number[] {
  const found = new Array<number>(count).fill(0);
  if (values.length === 0) return found;
  for (let place = 0; place < count; place += 1) {
    const from = Math.floor((place * values.length) / count);
    const to = Math.max(from + 1, Math.floor(((place + 1) * values.length) / count));
    let most = 0;
    for (let index = from; index < to; index += 1) most = Math.max(most, values[index] ?? 0);
    found[place] = most;
  }
  return found;
}

/** Numbers from 0 to 1 that look like chance and are the same every time. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

/** A drawn example: talk in phrases, and swells around `peaks` (`at` and `width` as shares of the whole). */
export function exampleWave(
  count: number,
  peaks: readonly { at: number; width: number }[],
  seed = 7,
): number[] {
  const chance = seeded(seed);
  let phrase = 0.4;
  return Array.from({ length: count }, (_, place) => {
    const at = place / count;
    if (place % 9 === 0) phrase = chance() < 0.3 ? 0.08 : 0.15 + 0.5 * chance();
    const talk = phrase * (0.35 + 0.65 * chance()) * Math.sin(Math.PI * ((place % 9) + 0.5) * (1 / 9));
    const swell = Math.max(
      0,
      ...peaks.map((peak) => {
        const distance = Math.abs(at - peak.at) / (peak.width / 2);
        return distance < 1
          ? (0.35 + 0.65 * Math.cos((distance * Math.PI) / 2)) * (0.62 + 0.38 * chance())
          : 0;
      }),
    );
    return Math.min(0.95, Math.max(talk, swell));
  });
}
