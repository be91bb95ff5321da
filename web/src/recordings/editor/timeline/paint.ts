/** Drawing on canvases: only what is in view, at the screen's own resolution. */
import type { Kind } from '../../../ui/icons/kinds';
import type { View } from './view';

export interface Colours {
  wave: string;
  soft: string;
  honey: string;
  line: string;
  flow: string;
  kinds: Record<Kind, string>;
}

export interface Stretch {
  start: number;
  end: number;
  kind: Kind;
}

const STEP_PX = 3.5;
const BAR_PX = 2;
const FILL = 0.94;

const LOUD_SHARE = 0.985;
const LEAST_LOUD = 24;

/** What counts as full height: nearly the loudest, so that one bang does not flatten everything else. */
export function loudestOf(peaks: readonly number[]): number {
  const sorted = [...peaks].sort((a, b) => a - b);
  return Math.max(LEAST_LOUD, (sorted[Math.floor(sorted.length * LOUD_SHARE)] ?? 0) * 1.1);
}

/** Read the theme's colours off an element. */
export function coloursOf(element: Element): Colours {
  const style = getComputedStyle(element);
  const value = (name: string): string => style.getPropertyValue(`--${name}`).trim();
  return {
    wave: value('wave'),
    soft: value('wave-soft'),
    honey: value('honey'),
    line: value('text-3'),
    flow: value('flow'),
    kinds: {
      humor: value('humor'),
      celebration: value('celebration'),
      surprise: value('surprise'),
      emotional: value('emotional'),
      engagement: value('engagement'),
    },
  };
}

/** Size a canvas to its box and return what draws on it in CSS pixels; null while it has no box. */
export function prepared(
  canvas: HTMLCanvasElement,
): { context: CanvasRenderingContext2D; width: number; height: number } | null {
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  const scale = Math.min(devicePixelRatio || 1, 3);
  const context = canvas.getContext('2d');
  if (!width || !height || !context) return null;
  const [across, down] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== across || canvas.height !== down) {
    canvas.width = across;
    canvas.height = down;
  }
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/**
 * The heights of the bars in a view, 0 to 1, and the place of the first. Bars stand on a grid of time, not of the screen,
 * so that they move with the sound and do not flicker.
 */
export function barsOf(
  peaks: readonly number[],
  rate: number,
  view: View,
  width: number,
  loudest: number,
): { first: number; step: number; heights: number[] } {
  const step = ((view.to - view.from) / width) * STEP_PX;
  const first = Math.floor(view.from / step);
  const last = Math.ceil(view.to / step);
  const heights: number[] = [];
  for (let bar = first; bar < last; bar += 1) {
    heights.push(peakBetween(peaks, rate, bar * step, (bar + 1) * step) / loudest);
  }
  return { first, step, heights };
}

/** The greatest peak of a stretch; between two peaks of a coarse waveform, the way from one to the other. */
export function peakBetween(peaks: readonly number[], rate: number, from: number, to: number): number {
  const start = from * rate;
  const end = to * rate;
  if (end - start <= 1) {
    const middle = (start + end) / 2 - 0.5;
    const low = Math.floor(middle);
    const share = middle - low;
    const before = peaks[Math.max(0, low)] ?? 0;
    const after = peaks[Math.min(peaks.length - 1, low + 1)] ?? before;
    return before + (after - before) * share;
  }
  return greatest(peaks, Math.max(0, Math.floor(start)), Math.min(peaks.length, Math.ceil(end)));
}

/** Peaks are looked at in blocks where many fall on one bar: six hours have 216,000. */
const BLOCK = 64;
const blocks = new WeakMap<readonly number[], Float32Array>();

function greatest(peaks: readonly number[], start: number, stop: number): number {
  const first = Math.ceil(start / BLOCK);
  const last = Math.floor(stop / BLOCK);
  if (first >= last) return greatestOf(peaks, start, stop);
  const inside = greatestOf(blocksOf(peaks), first, last);
  return Math.max(inside, greatestOf(peaks, start, first * BLOCK), greatestOf(peaks, last * BLOCK, stop));
}

function greatestOf(values: ArrayLike<number>, start: number, stop: number): number {
  let most = 0;
  for (let place = start; place < stop; place += 1) {
    const value = values[place] ?? 0;
    if (value > most) most = value;
  }
  return most;
}

/** The greatest peak of each whole block; kept as long as the peaks are. */
function blocksOf(peaks: readonly number[]): Float32Array {
  let found = blocks.get(peaks);
  if (!found) {
    found = new Float32Array(Math.floor(peaks.length / BLOCK));
    for (let block = 0; block < found.length; block += 1)
      found[block] = greatestOf(peaks, block * BLOCK, (block + 1) * BLOCK);
    blocks.set(peaks, found);
  }
  return found;
}

/** Draw sound: grey is talk, colour is a highlight. */
export function paintWave(
  canvas: HTMLCanvasElement,
  wave: { peaks: readonly number[]; rate: number; loudest: number },
  view: View,
  stretches: readonly Stretch[],
  colours: Colours,
): void {
  const surface = prepared(canvas);
  if (!surface) return;
  const { context, width, height } = surface;
  const { first, step, heights } = barsOf(wave.peaks, wave.rate, view, width, wave.loudest);
  const pixels = width / (view.to - view.from);
  context.lineWidth = BAR_PX;
  context.lineCap = 'round';
  const middle = height / 2;
  const groups = new Map<string, Path2D>();
  heights.forEach((value, place) => {
    const at = (first + place + 0.5) * step;
    const x = (at - view.from) * pixels;
    const half = Math.max(0.6, (Math.min(1, value) ** 0.85 * height * FILL) / 2 - 1);
    const inside = stretches.find((each) => at >= each.start && at <= each.end);
    const colour = inside ? colours.kinds[inside.kind] : colours.wave;
    const path = groups.get(colour) ?? new Path2D();
    groups.set(colour, path);
    path.moveTo(x, middle - half);
    path.lineTo(x, middle + half);
  });
  for (const [colour, path] of groups) {
    context.strokeStyle = colour;
    context.stroke(path);
  }
}

/** Draw the score as a line over a ground; honey above the threshold. */
export function paintScore(
  canvas: HTMLCanvasElement,
  curve: { values: readonly number[]; rate: number },
  view: View,
  threshold: number,
  colours: Colours,
): void {
  const surface = prepared(canvas);
  if (!surface) return;
  const { context, width, height } = surface;
  const line = new Path2D();
  const steps = Math.ceil(width / 2);
  for (let step = 0; step <= steps; step += 1) {
    const x = (step / steps) * width;
    const from = view.from + (step / steps) * (view.to - view.from);
    const value = peakBetween(curve.values, curve.rate, from, from + (view.to - view.from) / steps);
    const y = scoreY(value, height);
    if (step) line.lineTo(x, y);
    else line.moveTo(x, y);
  }
  const ground = new Path2D(line);
  ground.lineTo(width, height);
  ground.lineTo(0, height);
  ground.closePath();
  context.fillStyle = colours.soft;
  context.fill(ground);
  context.save();
  context.beginPath();
  context.rect(0, 0, width, scoreY(threshold, height));
  context.clip();
  context.fillStyle = colours.honey;
  context.fill(ground);
  context.restore();
  context.strokeStyle = colours.line;
  context.lineWidth = 1.5;
  context.lineJoin = 'round';
  context.stroke(line);
}

const TOP_SHARE = 0.06;
const BOTTOM_SHARE = 0.04;

/** Where a score stands in a lane of this height. */
export function scoreY(value: number, height: number): number {
  return height * (TOP_SHARE + (1 - TOP_SHARE - BOTTOM_SHARE) * (1 - value));
}

/** The score at a height of the lane. */
export function scoreAt(y: number, height: number): number {
  const share = (y / height - TOP_SHARE) / (1 - TOP_SHARE - BOTTOM_SHARE);
  return Math.min(1, Math.max(0, 1 - share));
}

/** Draw how sure the tagger is of one sound, as a heat of one colour. */
export function paintHeat(
  canvas: HTMLCanvasElement,
  row: { values: readonly number[]; rate: number },
  view: View,
  colour: string,
): void {
  const surface = prepared(canvas);
  if (!surface) return;
  const { context, width, height } = surface;
  context.fillStyle = colour;
  const seconds = (view.to - view.from) / width;
  for (let x = 0; x < width; x += 2) {
    const from = view.from + x * seconds;
    const share = peakBetween(row.values, row.rate, from, from + 2 * seconds) / 100;
    if (share < 0.05) continue;
    context.globalAlpha = Math.min(1, share);
    context.fillRect(x, 0, 2, height);
  }
  context.globalAlpha = 1;
}

const BAR_GAP_PX = 1;
const LEAST_BAR_PX = 2;

/** Draw how much the audience did, a bar for each stretch; the one under the pointer stands out. */
export function paintAudience(
  canvas: HTMLCanvasElement,
  audience: { stretches: readonly { start: number; total: number }[]; step: number; most: number },
  view: View,
  pointed: number | undefined,
  colours: Colours,
): void {
  const surface = prepared(canvas);
  if (!surface) return;
  const { context, width, height } = surface;
  const pixels = width / (view.to - view.from);
  const across = Math.max(LEAST_BAR_PX, audience.step * pixels - BAR_GAP_PX);
  for (const { start, total } of audience.stretches) {
    if (start + audience.step < view.from || start > view.to) continue;
    const tall = Math.max(LEAST_BAR_PX, Math.sqrt(total / audience.most) * height);
    context.fillStyle = start === pointed ? colours.line : colours.flow;
    context.beginPath();
    context.roundRect((start - view.from) * pixels, height - tall, across, tall, [2, 2, 0, 0]);
    context.fill();
  }
}
