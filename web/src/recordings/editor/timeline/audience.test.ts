import { describe, expect, it } from 'vitest';
import { gathered, MARK_PX, marksOf, stepOf, stretchAt, totalOf, type Activity } from './audience';

const activity: Activity[] = [
  { time_s: 2, signal: 'join', count: 1 },
  { time_s: 30, signal: 'message', count: 2 },
  { time_s: 30, signal: 'reaction', count: 17 },
  { time_s: 32, signal: 'reaction', count: 1 },
  { time_s: 40, signal: 'vote', count: 4 },
];

describe('stretches', () => {
  it('are whole bins, and wide enough to be seen', () => {
    expect(stepOf(1, { from: 0, to: 10 }, 1000)).toBe(1);
    expect(stepOf(1, { from: 0, to: 1000 }, 1000)).toBe(5);
    expect(stepOf(18, { from: 0, to: 21_600 }, 300)).toBe(360);
    expect(stepOf(18, { from: 100, to: 160 }, 300)).toBe(18);
  });

  it('have the sum of each signal, on a grid of time', () => {
    const found = gathered(activity, 6);
    expect(found.stretches.map((each) => each.start)).toEqual([0, 30, 36]);
    expect(found.stretches[1]).toEqual({ start: 30, counts: { message: 2, reaction: 18 }, total: 20 });
    expect(found.most).toBe(20);
  });

  it('are found by a time, except where nothing happened', () => {
    const found = gathered(activity, 6);
    expect(stretchAt(found, 35.9)?.total).toBe(20);
    expect(stretchAt(found, 36)?.total).toBe(4);
    expect(stretchAt(found, 20)).toBeUndefined();
  });

  it('are added up for the whole recording', () => {
    expect(totalOf(activity)).toEqual({ join: 1, message: 2, reaction: 18, vote: 4 });
    expect(totalOf([])).toEqual({});
  });
});

describe('marks', () => {
  const view = { from: 100, to: 200 };
  const at = (time_s: number): { time_s: number; label: string } => ({ time_s, label: `${time_s}` });

  it('are the moments in view with the room up to the next', () => {
    const marks = marksOf([at(50), at(110), at(150), at(250)], view, 1000);
    expect(marks.map(({ x, room }) => [x, room])).toEqual([
      [100, 400],
      [500, 500],
    ]);
  });

  it('join where they would overlap, and stay inside', () => {
    const marks = marksOf([at(110), at(111), at(112.5), at(113), at(200)], view, 1000);
    expect(marks.map((each) => each.moments.length)).toEqual([3, 1, 1]);
    expect(marks.at(-1)).toMatchObject({ x: 1000 - MARK_PX, room: MARK_PX });
  });
});
