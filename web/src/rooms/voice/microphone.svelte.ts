/** One's own microphone: a stream that is recorded and heard by the others, and its level. */

const MEASURE_MS = 100;

export class Microphone {
  /** How loud it is, from 0 to 1. */
  level = $state(0);
  isMuted = $state(false);
  /** Called when the device is gone: unplugged, or taken away by the browser. */
  onlost: (() => void) | undefined;

  readonly stream: MediaStream;
  readonly #context = new AudioContext();
  #measuring: ReturnType<typeof setInterval> | undefined;

  private constructor(stream: MediaStream) {
    this.stream = stream;
    this.track.addEventListener('ended', () => this.onlost?.());
    this.#measure();
  }

  /** Ask the browser for a microphone; DOMException when it refuses. */
  static async open(deviceId = ''): Promise<Microphone> {
    // Suppressed noise would be laughter and applause: what highlights are made of.
    const audio: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: false };
    if (deviceId) audio.deviceId = { exact: deviceId };
    return new Microphone(await navigator.mediaDevices.getUserMedia({ audio }));
  }

  get track(): MediaStreamTrack {
    const [track] = this.stream.getAudioTracks();
    if (!track) throw new Error('a microphone has a track');
    return track;
  }

  get deviceId(): string {
    return this.track.getSettings().deviceId ?? '';
  }

  mute(isMuted: boolean): void {
    this.isMuted = isMuted;
    this.track.enabled = !isMuted;
  }

  async close(): Promise<void> {
    clearInterval(this.#measuring);
    this.track.stop();
    await this.#context.close();
  }

  #measure(): void {
    const analyser = this.#context.createAnalyser();
    this.#context.createMediaStreamSource(this.stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#measuring = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      const power = samples.reduce((sum, each) => sum + each * each, 0) / samples.length;
      // From -60 dB to 0 dB.
      this.level = Math.min(1, Math.max(0, 1 + Math.log10(power + 1e-9) / 6));
    }, MEASURE_MS);
  }
}
