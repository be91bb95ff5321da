/** The window of a recording that is in view: zoom, scroll, and the times under it. */

export interface View {
  from: number;
  to: number;
}

export const SHORTEST_S = 4;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

/** Keep a view inside a recording, at its length as far as that is possible. */
export function fitted(view: View, duration: number): View {
  const length = Math.min(duration, Math.max(Math.min(SHORTEST_S, duration), view.to - view.from));
  const from = Math.min(Math.max(0, view.from), duration - length);
  return { from, to: from + length };
}

/** Zoom by `factor` (below 1: closer) and leave `at` where it is. */
export function zoomed(view: View, factor: number, at: number, duration: number): View {
  const length = (view.to - view.from) * factor;
  const limited = Math.min(duration, Math.max(Math.min(SHORTEST_S, duration), length));
  const share = (at - view.from) / (view.to - view.from);
  return fitted({ from: at - share * limited, to: at + (1 - share) * limited }, duration);
}

/** Move by so many seconds. */
export function moved(view: View, seconds: number, duration: number): View {
  return fitted({ from: view.from + seconds, to: view.to + seconds }, duration);
}

/** A view that shows a stretch with room around it. */
export function around(start: number, end: number, duration: number): View {
  const room = Math.max(12, (end - start) * 1.6);
  return fitted({ from: start - room, to: end + room }, duration);
}

/** The view, moved just so far that `at` is in it with some room ahead. */
export function following(view: View, at: number, duration: number): View {
  const length = view.to - view.from;
  if (at >= view.from && at <= view.to - length * 0.04) return view;
  return fitted({ from: at - length * 0.15, to: at + length * 0.85 }, duration);
}

/** Round times in a view, at most `most`. */
export function ticks(view: View, most: number): number[] {
  const length = view.to - view.from;
  const step = STEPS_S.find((each) => length / each <= most) ?? 7200;
  const first = Math.ceil(view.from / step) * step;
  const found: number[] = [];
  for (let at = first; at <= view.to + 1e-9; at += step) found.push(Math.round(at * 1000) / 1000);
  return found;
}
