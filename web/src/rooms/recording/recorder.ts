/** Records a stream in parts of two seconds. */

const SLICE_MS = 2000;
/** A browser that does not end a recording by then has hung. */
const STOP_MS = 3000;
const LONGEST_MS = 60_000;
const TYPES = {
  audio: ['audio/webm;codecs=opus', 'audio/mp4'],
  video: ['video/webm;codecs=vp8,opus', 'video/mp4'],
};

export interface Slice {
  number: number;
  startMs: number;
  durationMs: number;
  bytes: Blob;
}

export class Recorder {
  /** Called when it ended without being asked to: its device is gone. */
  onend: (() => void) | undefined;
  readonly #recorder: MediaRecorder;
  #ended: Promise<unknown> | undefined;

  constructor(stream: MediaStream) {
    const types = TYPES[stream.getVideoTracks().length > 0 ? 'video' : 'audio'];
    const mimeType = types.find((each) => MediaRecorder.isTypeSupported(each));
    this.#recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
  }

  get contentType(): string {
    return this.#recorder.mimeType || 'audio/webm';
  }

  /** Record; each slice carries times of `performance.now()`. */
  start(take: (slice: Slice) => void): void {
    let number = 0;
    let startMs = Math.round(performance.now());
    this.#recorder.onstart = () => {
      startMs = Math.round(performance.now());
    };
    this.#recorder.ondataavailable = ({ data }) => {
      const endMs = Math.round(performance.now());
      // An empty slice says nothing, and its time belongs to the next one.
      if (!data.size) return;
      number += 1;
      take({ number, startMs, durationMs: Math.min(LONGEST_MS, endMs - startMs), bytes: data });
      startMs = endMs;
    };
    this.#ended = new Promise((resolve) => {
      this.#recorder.onstop = () => {
        resolve(undefined);
        this.onend?.();
      };
    });
    this.#recorder.start(SLICE_MS);
  }

  /** Stop; resolves when the last slice has been taken. */
  async stop(): Promise<void> {
    this.onend = undefined;
    if (this.#recorder.state !== 'inactive') this.#recorder.stop();
    await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, STOP_MS))]);
  }
}
