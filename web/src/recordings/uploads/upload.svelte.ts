/** One upload: its parts go straight to storage, and what storage has is asked of the service before each go. */
import { ApiError, call } from '../../api/client';
import { sentence } from '../../app/data/fault';
import { session } from '../../app/session.svelte';
import { RefusedError, sendPart } from './send_part';
import { Speed } from './speed';
import { forget, store, type StoredUpload } from './upload_store';

export type UploadState =
  | 'queued'
  | 'sending'
  | 'finishing'
  | 'paused'
  | 'waiting'
  | 'choose'
  | 'permit'
  | 'elsewhere'
  | 'failed'
  | 'done';

const PARTS_AT_ONCE = 3;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
const SPEED_EVERY_MS = 250;

interface Part {
  number: number;
  url: string;
}

export class Upload {
  state = $state<UploadState>('queued');
  /** Bytes that storage has, and those on their way. */
  sent = $state(0);
  /** Bytes a second; 0 until it can be said. */
  speed = $state(0);
  problem = $state('');
  readonly name: string;
  readonly size: number;
  readonly recordingId: string;
  file: File | undefined;

  #stored: StoredUpload;
  #abort = new AbortController();
  #safe = 0;
  #going = new Map<number, number>();
  #speed = new Speed();
  #spokeAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #waitMs = FIRST_WAIT_MS;
  #onFree: () => void;

  constructor(stored: StoredUpload, file: File | undefined, onFree: () => void) {
    this.#stored = stored;
    this.#onFree = onFree;
    this.file = file;
    this.name = stored.name;
    this.size = stored.size;
    this.recordingId = stored.recordingId;
    if (stored.isPaused) this.state = 'paused';
    else if (!file) this.state = stored.handle ? 'permit' : 'choose';
  }

  get handle(): FileSystemFileHandle | undefined {
    return this.#stored.handle;
  }

  /** Seconds until it is up; undefined until it can be said. */
  get left(): number | undefined {
    return this.speed > 0 ? (this.size - this.sent) / this.speed : undefined;
  }

  /** Whether the file is the one that was announced. */
  fits(file: File): boolean {
    return file.size === this.size && file.name === this.name;
  }

  /** Ask how much is stored, to show it before the upload goes on. */
  async look(): Promise<void> {
    try {
      const { parts } = await call('get', '/api/recordings/{recording_id}/parts', {
        path: { recording_id: this.recordingId },
      });
      this.#safe = parts.reduce((sum, part) => sum + part.size_bytes, 0);
      this.sent = this.#safe;
    } catch (error) {
      if (isGone(error)) await this.#end('done');
    }
  }

  /** Send what is missing, then close the upload. One tab at a time does. */
  async run(): Promise<void> {
    if (!this.file || this.state === 'sending' || this.state === 'finishing') return;
    clearTimeout(this.#timer);
    this.state = 'sending';
    this.problem = '';
    this.#abort = new AbortController();
    const held = await locked(`upload-${this.recordingId}`, () => this.#go());
    if (!held) this.#again('elsewhere');
    this.#onFree();
  }

  pause(): void {
    this.#stop('paused');
    this.#stored.isPaused = true;
    void store(this.#stored);
    this.#onFree();
  }

  /** Take it up again; `queued` until it has its turn. */
  resume(): void {
    clearTimeout(this.#timer);
    this.#stored.isPaused = false;
    void store(this.#stored);
    this.state = this.file ? 'queued' : this.handle ? 'permit' : 'choose';
    this.#onFree();
  }

  /** Stop it for good; the service forgets what it has. */
  async cancel(): Promise<void> {
    this.#stop('done');
    await forget(this.recordingId);
    this.#onFree();
    try {
      await call('delete', '/api/recordings/{recording_id}', { path: { recording_id: this.recordingId } });
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async #go(): Promise<void> {
    try {
      const missing = await this.#missing();
      await this.#sendAll(missing);
      this.state = 'finishing';
      await this.#complete();
      await this.#end('done');
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      session.heed(error);
      if (isGone(error)) await this.#end('done');
      else if (isPassing(error)) this.#again('waiting');
      else {
        this.problem = sentence(error);
        this.state = 'failed';
      }
    }
  }

  async #missing(): Promise<Part[]> {
    const path = { recording_id: this.recordingId };
    const signal = this.#abort.signal;
    const found = await call('get', '/api/recordings/{recording_id}/parts', { path, signal });
    this.#safe = found.parts.reduce((sum, part) => sum + part.size_bytes, 0);
    this.#going.clear();
    this.#speed.reset();
    this.#tell();
    return found.missing;
  }

  async #sendAll(missing: Part[]): Promise<void> {
    const waiting = [...missing];
    const lane = async (): Promise<void> => {
      for (let part = waiting.shift(); part; part = waiting.shift()) await this.#send(part);
    };
    const lanes = Array.from({ length: PARTS_AT_ONCE }, lane);
    try {
      await Promise.all(lanes);
    } catch (error) {
      waiting.length = 0;
      throw error;
    }
  }

  async #send(part: Part): Promise<void> {
    const size = this.#stored.partSize;
    const bytes = this.#file().slice((part.number - 1) * size, part.number * size);
    const onProgress = (sent: number): void => {
      this.#going.set(part.number, sent);
      this.#tell();
    };
    const signal = this.#abort.signal;
    try {
      await sendPart(part.url, bytes, { onProgress, signal });
    } catch (error) {
      if (!(error instanceof RefusedError) || error.status >= 500) throw error;
      await sendPart(await this.#signed(part.number), bytes, { onProgress, signal });
    }
    this.#going.delete(part.number);
    this.#safe += bytes.size;
    this.#waitMs = FIRST_WAIT_MS;
    this.#tell();
  }

  #file(): File {
    if (!this.file) throw new Error('the file is gone');
    return this.file;
  }

  /** A fresh address for a part whose first one was refused, as it is after a day. */
  async #signed(number: number): Promise<string> {
    const path = { recording_id: this.recordingId, number };
    return (await call('post', '/api/recordings/{recording_id}/parts/{number}/sign', { path })).url;
  }

  async #complete(): Promise<void> {
    const path = { recording_id: this.recordingId };
    const { parts } = await call('get', '/api/recordings/{recording_id}/parts', { path });
    const body = { parts: parts.map(({ number, etag }) => ({ number, etag })) };
    await call('post', '/api/recordings/{recording_id}/complete', { path, body });
  }

  #tell(): void {
    const now = performance.now();
    if (now - this.#spokeAt < SPEED_EVERY_MS) return;
    this.#spokeAt = now;
    const going = [...this.#going.values()].reduce((sum, each) => sum + each, 0);
    this.sent = Math.min(this.size, this.#safe + going);
    this.speed = this.#speed.note(this.sent, now);
  }

  #stop(state: UploadState): void {
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.sent = this.#safe;
    this.speed = 0;
    this.state = state;
  }

  #again(state: 'waiting' | 'elsewhere'): void {
    this.#abort.abort();
    this.speed = 0;
    this.sent = this.#safe;
    this.state = state;
    this.#timer = setTimeout(() => {
      this.state = 'queued';
      this.#onFree();
    }, this.#waitMs);
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }

  async #end(state: 'done'): Promise<void> {
    this.state = state;
    this.sent = this.size;
    await forget(this.recordingId);
  }
}

/** Whether the upload is closed or its recording deleted: there is nothing more to send. */
function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 409);
}

/** Whether it may work in a while: the network, or a part of the service that is away. */
function isPassing(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 0 || error.status >= 500 || error.status === 429;
  return error instanceof TypeError || (error instanceof RefusedError && error.status >= 500);
}

/** Run `work` unless another tab runs work of this name; returns whether it ran. */
async function locked(name: string, work: () => Promise<void>): Promise<boolean> {
  if (!('locks' in navigator)) {
    await work();
    return true;
  }
  return await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock) await work();
    return lock !== null;
  });
}
