/** One's own microphone: recorded in parts of two seconds, and measured for the meter. */

const SLICE_MS = 2000;
const MEASURE_MS = 100;
const TYPES = ['audio/webm;codecs=opus', 'audio/mp4'];

export interface Slice {
  number: number;
  startMs: number;
  durationMs: number;
  bytes: Blob;
}

export class Microphone {
  /** How loud it is, from 0 to 1. */
  level = $state(0);
  isMuted = $state(false);

  readonly #stream: MediaStream;
  readonly #recorder: MediaRecorder;
  readonly #context = new AudioContext();
  #measuring: ReturnType<typeof setInterval> | undefined;

  private constructor(stream: MediaStream) {
    this.#stream = stream;
    const mimeType = TYPES.find((each) => MediaRecorder.isTypeSupported(each));
    this.#recorder = new MediaRecorder(stream, mimeType ? { mimeType } : {});
    this.#measure();
  }

  /** Ask the browser for the microphone; DOMException when it refuses. */
  static async open(): Promise<Microphone> {
    const audio = { echoCancellation: true, noiseSuppression: true };
    return new Microphone(await navigator.mediaDevices.getUserMedia({ audio }));
  }

  get contentType(): string {
    return this.#recorder.mimeType || 'audio/webm';
  }

  /** Record; each slice carries times of `performance.now()`. */
  record(take: (slice: Slice) => void): void {
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
      take({ number, startMs, durationMs: Math.min(60_000, endMs - startMs), bytes: data });
      startMs = endMs;
    };
    this.#recorder.start(SLICE_MS);
  }

  mute(isMuted: boolean): void {
    this.isMuted = isMuted;
    for (const track of this.#stream.getAudioTracks()) track.enabled = !isMuted;
  }

  /** Stop; resolves when the last slice has been taken. */
  async close(): Promise<void> {
    clearInterval(this.#measuring);
    if (this.#recorder.state !== 'inactive') {
      const ended = new Promise((resolve) => {
        this.#recorder.onstop = resolve;
      });
      this.#recorder.stop();
      await ended;
    }
    for (const track of this.#stream.getTracks()) track.stop();
    await this.#context.close();
  }

  #measure(): void {
    const analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(this.#stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#measuring = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
      // From -60 dB to 0 dB.
      this.level = Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 6));
    }, MEASURE_MS);
  }
}
