/** The small waveforms of a list: asked for once each, when they come into view. */
import { call } from '../api/client';
import { summits } from '../ui/wave';
import type { Kind } from '../ui/icons/kinds';

export interface SmallWave {
  heights: number[];
  /** The kind of highlight under each bar, if any. */
  kinds: (Kind | null)[];
}

export const BARS = 90;
const POINTS = 360;
const FULL = 255;
const cache = new Map<string, Promise<SmallWave>>();

/** The waveform of a recording with its highlights. `version` changes when it was scored again. */
export function smallWave(id: string, version: string): Promise<SmallWave> {
  const key = `${id} ${version}`;
  let found = cache.get(key);
  if (!found) {
    found = load(id);
    found.catch(() => cache.delete(key));
    cache.set(key, found);
  }
  return found;
}

async function load(id: string): Promise<SmallWave> {
  const path = { recording_id: id };
  const [timeline, highlights] = await Promise.all([
    call('get', '/api/recordings/{recording_id}/timeline', { path, query: { points: POINTS } }),
    call('get', '/api/recordings/{recording_id}/highlights', { path, query: { limit: 50 } }),
  ]);
  const heights = level(summits(timeline.waveform.peaks, BARS));
  const kinds = new Array<Kind | null>(BARS).fill(null);
  // Best last, so that it is on top where two meet.
  for (const each of [...highlights.items].reverse()) {
    const at = (seconds: number): number => Math.floor((seconds / timeline.duration_s) * BARS);
    for (let bar = at(each.core_start_s); bar <= at(each.core_end_s) && bar < BARS; bar += 1)
      kinds[bar] = each.kind;
  }
  return { heights, kinds };
}

/** Heights from 0 to 1, the loudest nearly full: a quiet recording has a picture too. */
export function level(peaks: readonly number[]): number[] {
  const most = Math.max(FULL / 8, ...peaks);
  return peaks.map((peak) => 0.94 * (peak / most) ** 0.8);
}
