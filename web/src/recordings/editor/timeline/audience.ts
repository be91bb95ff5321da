/** What the audience did, in stretches that are wide enough to be seen, and saved moments that do not overlap. */
import type { Timeline } from '../../../api/types';
import type { View } from './view';

export type Activity = Timeline['activity'][number];
export type Moment = Timeline['moments'][number];
export type Signal = Activity['signal'];
export type Counts = Partial<Record<Signal, number>>;

export interface Stretch {
  start: number;
  counts: Counts;
  total: number;
}

export interface Stretches {
  /** Seconds of each stretch. */
  step: number;
  /** What the busiest has. */
  most: number;
  /** In order of time, without those in which nothing happened. */
  stretches: Stretch[];
}

/** Moments that are too close to be told apart, as one mark. */
export interface Mark {
  moments: [Moment, ...Moment[]];
  /** Pixels from the left edge, and up to the next mark or the right edge. */
  x: number;
  room: number;
}

const LEAST_STRETCH_PX = 5;
/** A mark is as wide as this at least, so that a finger hits it. */
export const MARK_PX = 26;

/** How long stretches are at a zoom: whole bins of the API, and wide enough to be seen. */
export function stepOf(bin: number, view: View, width: number): number {
  const least = ((view.to - view.from) / Math.max(1, width)) * LEAST_STRETCH_PX;
  return bin * Math.max(1, Math.ceil(least / bin - 1e-9));
}

/** Gather counts in stretches that stand on a grid of time, so that they stay the same while they move. */
export function gathered(activity: readonly Activity[], step: number): Stretches {
  const found = new Map<number, Stretch>();
  for (const { time_s, signal, count } of activity) {
    const place = Math.floor(time_s / step + 1e-9);
    const stretch = found.get(place) ?? { start: place * step, counts: {}, total: 0 };
    found.set(place, stretch);
    stretch.counts[signal] = (stretch.counts[signal] ?? 0) + count;
    stretch.total += count;
  }
  const stretches = [...found.values()].sort((a, b) => a.start - b.start);
  return { step, most: Math.max(1, ...stretches.map((each) => each.total)), stretches };
}

/** The stretch at a time; none where nothing happened. */
export function stretchAt({ stretches, step }: Stretches, at: number): Stretch | undefined {
  return stretches.find((each) => at >= each.start && at < each.start + step);
}

/** Everything the audience did. */
export function totalOf(activity: readonly Activity[]): Counts {
  const counts: Counts = {};
  for (const { signal, count } of activity) counts[signal] = (counts[signal] ?? 0) + count;
  return counts;
}

/** The marks in view. A moment within a mark's width joins it, so each mark can be hit. */
export function marksOf(moments: readonly Moment[], view: View, width: number): Mark[] {
  const pixels = width / (view.to - view.from);
  const marks: Mark[] = [];
  for (const moment of moments) {
    if (moment.time_s < view.from || moment.time_s > view.to) continue;
    const x = Math.max(0, Math.min((moment.time_s - view.from) * pixels, width - MARK_PX));
    const last = marks.at(-1);
    if (last && x < last.x + MARK_PX) {
      last.moments.push(moment);
      continue;
    }
    if (last) last.room = x - last.x;
    marks.push({ moments: [moment], x, room: width - x });
  }
  return marks;
}
