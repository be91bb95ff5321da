/** Sends parts of a recording in their order: announced, PUT, told stored; again until it worked. */
import { ApiError, call } from '../../api/client';
import { backoffMs } from '../connection/backoff';
import { verdict } from './part_verdict';
import { forget, keep, listWaiting, type WaitingPart } from './part_store';

export class PartQueue {
  stored = $state(0);
  waiting = $state(0);
  lost = $state(0);
  /** Why sending has stopped; waiting parts are kept. */
  refusal = $state.raw<ApiError>();
  /** Called when no parts are waiting. */
  onempty: (() => void) | undefined;
  onrefused: ((error: ApiError) => void) | undefined;

  readonly #owner: string;
  readonly #roomId: string;
  #parts: WaitingPart[] = [];
  #isSending = false;
  #isClosing = false;
  #wake: (() => void) | undefined;

  constructor(owner: string, roomId: string) {
    this.#owner = owner;
    this.#roomId = roomId;
    addEventListener('online', this.#onOnline);
  }

  /** Go on with what an earlier visit left behind. */
  async resume(): Promise<void> {
    const left = await listWaiting(this.#owner, this.#roomId);
    if (left.length === 0) return;
    this.#parts = [...left, ...this.#parts];
    this.#count();
    void this.#send();
  }

  async add(part: Omit<WaitingPart, 'owner' | 'roomId'>): Promise<void> {
    const whole = { ...part, owner: this.#owner, roomId: this.#roomId };
    this.#parts.push(whole);
    this.#count();
    await keep(whole);
    void this.#send();
  }

  /** Try again what was refused. */
  retry(): void {
    this.refusal = undefined;
    void this.#send();
  }

  /** Send what waits, unless something fails: then it stays for the next visit. */
  close(): void {
    this.#isClosing = true;
    this.onrefused = undefined;
    this.#wake?.();
    removeEventListener('online', this.#onOnline);
  }

  async #send(): Promise<void> {
    if (this.#isSending || this.refusal) return;
    this.#isSending = true;
    let failures = 0;
    for (let part = this.#parts[0]; part; part = this.#parts[0]) {
      try {
        await deliver(part);
        this.stored += 1;
        failures = 0;
      } catch (error) {
        failures += 1;
        const next = verdict(error, failures);
        if (next === 'lost') this.lost += 1;
        else if (this.#isClosing) break;
        else if (next === 'again') {
          await this.#pause(backoffMs(failures));
          continue;
        } else {
          this.#refuse(error);
          break;
        }
      }
      this.#parts.shift();
      this.#count();
      await forget(part);
    }
    this.#isSending = false;
    if (this.#parts.length === 0) this.onempty?.();
  }

  #refuse(error: unknown): void {
    this.refusal = error instanceof ApiError ? error : new ApiError('', 'unreadable', 0);
    this.onrefused?.(this.refusal);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #count(): void {
    this.waiting = this.#parts.length;
  }

  readonly #onOnline = (): void => {
    this.#wake?.();
  };
}

/** Bring one part to storage; doing it again is safe. ApiError, TypeError where the network failed. */
async function deliver(part: WaitingPart): Promise<void> {
  const path = { room_id: part.roomId, track_id: part.trackId };
  const announced = await call('post', '/api/rooms/{room_id}/recording/tracks/{track_id}/parts', {
    path,
    body: {
      number: part.number,
      size_bytes: part.bytes.size,
      start_ms: part.startMs,
      duration_ms: part.durationMs,
    },
  });
  const answer = await fetch(announced.url, { method: 'PUT', body: part.bytes, credentials: 'omit' });
  if (!answer.ok) throw new ApiError('', 'storage', answer.status, answer.status >= 500);
  await call('post', '/api/rooms/{room_id}/recording/tracks/{track_id}/parts/{number}/stored', {
    path: { ...path, number: part.number },
    body: { etag: answer.headers.get('ETag') ?? '' },
  });
}
