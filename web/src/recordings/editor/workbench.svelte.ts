/** All that the editor's panes share: what was found, what is picked, what is in view, where the playhead is. */
import type { Highlight, Recording, Timeline } from '../../api/types';
import { pauses, snapped } from './timeline/snap';
import { pictureOf } from './stream';
import { around, fitted, following, type View } from './timeline/view';

export type Preset = 'original' | 'vertical' | 'square' | 'audiogram';
export type Format = 'mp4' | 'webm' | 'mp3';

export interface Selection {
  start: number;
  end: number;
}

export const LEAST_CLIP_S = 5;
const DEFAULT_SENSITIVITY = 0.7;
/** What is so far below is no candidate worth a row. */
const FAINTEST = 0.3;
const MOST_BELOW = 12;
const FALLBACK_RATE = 25;

/** The part of a player that keys and buttons drive. */
export interface Player {
  seek: (seconds: number) => void;
  toggle: () => void;
  shuttle: (direction: -1 | 0 | 1) => void;
}

export class Workbench {
  readonly recording: Recording;
  timeline = $state.raw<Timeline>();
  /** Every candidate, best first, however low it scores. */
  candidates = $state.raw<Highlight[]>([]);
  sensitivity = $state(DEFAULT_SENSITIVITY);
  pickedId = $state<string>();
  selection = $state.raw<Selection>({ start: 0, end: 0 });
  view = $state.raw<View>({ from: 0, to: 60 });
  time = $state(0);
  isPlaying = $state(false);
  hasSnap = $state(true);
  hasTags = $state(false);
  player = $state.raw<Player>();

  title = $state('');
  preset = $state<Preset>('original');
  formats = $state<Format[]>(['mp4']);
  hasLoudness = $state(true);
  captions = $state.raw<{ name: string; text: string }>();

  constructor(recording: Recording) {
    this.recording = recording;
    if (recording.has_video === false) {
      this.preset = 'audiogram';
    }
  }

  readonly duration = $derived.by(() => this.recording.duration_s ?? this.timeline?.duration_s ?? 0);
  readonly frameRate = $derived.by(() => pictureOf(this.recording)?.frame_rate ?? FALLBACK_RATE);
  readonly frame = $derived(1 / Math.max(1, this.frameRate));
  readonly above = $derived(this.candidates.filter((each) => each.score >= this.sensitivity));
  readonly below = $derived(
    this.candidates
      .filter((each) => each.score < this.sensitivity && each.score >= Math.min(FAINTEST, this.sensitivity))
      .slice(0, MOST_BELOW),
  );
  readonly picked = $derived(this.candidates.find((each) => each.id === this.pickedId));
  readonly length = $derived(this.selection.end - this.selection.start);
  readonly #pauses = $derived.by(() => {
    const wave = this.timeline?.waveform;
    return wave ? pauses(wave.peaks, wave.rate) : [];
  });

  /** Take over what was found, and pick the best. */
  fill(candidates: Highlight[], sensitivity?: number): void {
    this.candidates = candidates;
    if (sensitivity !== undefined) this.sensitivity = sensitivity;
    const first = this.above[0];
    if (first) this.pick(first);
    else this.mark({ start: 0, end: Math.min(this.duration, 30) });
  }

  /** Select a highlight, show it, and put the playhead at its start. */
  pick(highlight: Highlight): void {
    this.pickedId = highlight.id;
    this.selection = { start: highlight.start_s, end: highlight.end_s };
    const { from, to } = this.view;
    if (highlight.start_s < from || highlight.end_s > to || to - from > 8 * this.length || !this.time)
      this.view = around(highlight.start_s, highlight.end_s, this.duration);
    this.seek(highlight.start_s);
  }

  /** Select the highlight before or after the picked one, in the order of the list. */
  step(direction: -1 | 1): void {
    const list = this.above;
    if (!list.length) return;
    const here = list.findIndex((each) => each.id === this.pickedId);
    const next = list[Math.min(list.length - 1, Math.max(0, here + direction))];
    if (next) this.pick(next);
  }

  /** Set the stretch by hand; it stays a part of the recording, and the picked highlight while they overlap. */
  mark({ start, end }: Selection): void {
    const from = Math.max(0, Math.min(start, this.duration - this.frame));
    const to = Math.min(this.duration, Math.max(end, from + this.frame));
    this.selection = { start: from, end: to };
    const picked = this.picked;
    if (picked && (picked.end_s < from || picked.start_s > to)) this.pickedId = undefined;
  }

  /** Move one end of the selection; it snaps to pauses unless `isFree`. */
  trim(side: 'start' | 'end', seconds: number, isFree = false): void {
    const at = this.hasSnap && !isFree ? snapped(seconds, this.#pauses) : seconds;
    if (side === 'start')
      this.mark({ start: Math.min(at, this.selection.end - this.frame), end: this.selection.end });
    else this.mark({ start: this.selection.start, end: Math.max(at, this.selection.start + this.frame) });
  }

  /** Put an end where the playhead is; the other end makes room when it has to. */
  setHere(side: 'start' | 'end'): void {
    const { start, end } = this.selection;
    const least = LEAST_CLIP_S;
    if (side === 'start') this.mark({ start: this.time, end: end > this.time ? end : this.time + least });
    else this.mark({ start: start < this.time ? start : Math.max(0, this.time - least), end: this.time });
  }

  seek(seconds: number): void {
    this.time = Math.max(0, Math.min(this.duration, seconds));
    this.player?.seek(this.time);
    this.view = following(this.view, this.time, this.duration);
  }

  /** Where the player is now; the view follows while it plays. */
  tell(seconds: number): void {
    this.time = seconds;
    if (this.isPlaying) this.view = following(this.view, seconds, this.duration);
  }

  look(view: View): void {
    const next = fitted(view, this.duration);
    // At either end the view does not move, and nothing has to be drawn.
    if (next.from !== this.view.from || next.to !== this.view.to) this.view = next;
  }
}
