import { describe, expect, it } from 'vitest';
import { around, fitted, following, moved, ticks, zoomed } from './view';

describe('a view', () => {
  it('stays inside the recording', () => {
    expect(fitted({ from: -5, to: 15 }, 100)).toEqual({ from: 0, to: 20 });
    expect(fitted({ from: 90, to: 120 }, 100)).toEqual({ from: 70, to: 100 });
    expect(fitted({ from: 0, to: 500 }, 100)).toEqual({ from: 0, to: 100 });
    expect(moved({ from: 10, to: 20 }, 1000, 100)).toEqual({ from: 90, to: 100 });
  });

  it('zooms around a point, and not without end', () => {
    const closer = zoomed({ from: 0, to: 100 }, 0.5, 25, 100);
    expect(closer).toEqual({ from: 12.5, to: 62.5 });
    expect(zoomed({ from: 10, to: 15 }, 0.01, 12, 100)).toEqual({ from: 10.4, to: 14.4 });
    expect(zoomed({ from: 0, to: 2 }, 0.1, 1, 2)).toEqual({ from: 0, to: 2 });
    expect(zoomed({ from: 40, to: 60 }, 100, 50, 100)).toEqual({ from: 0, to: 100 });
  });

  it('shows a moment with what is around it', () => {
    expect(around(50, 60, 100)).toEqual({ from: 34, to: 76 });
    expect(around(0, 7, 100)).toEqual({ from: 0, to: 31 });
  });

  it('follows the playhead only when it leaves', () => {
    const view = { from: 0, to: 20 };
    expect(following(view, 10, 100)).toBe(view);
    expect(following(view, 20, 100)).toEqual({ from: 17, to: 37 });
    expect(following({ from: 50, to: 70 }, 10, 100)).toEqual({ from: 7, to: 27 });
  });
});

it('names round times, as many as there is room for', () => {
  expect(ticks({ from: 33, to: 183 }, 7)).toEqual([60, 90, 120, 150, 180]);
  expect(ticks({ from: 0, to: 1 }, 10)).toHaveLength(11);
});
