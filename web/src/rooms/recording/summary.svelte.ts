/** What became of a recording that has ended: its highlights and clips, as soon as they are there. */
import { ApiError, call } from '../../api/client';
import type { Clip, Highlight } from '../../api/types';
import { sentence } from '../../app/data/fault';
import { session } from '../../app/session.svelte';
import { toasts } from '../../app/toasts.svelte';
import { text } from '../../text';

const AGAIN_MS = 2000;
const SHOWN = 6;
const POLLED = 4;
const POLL_S = 60;

export class Summary {
  state = $state<'waiting' | 'ready' | 'failed'>('waiting');
  highlights = $state.raw<readonly Highlight[]>([]);
  clips = $state.raw<readonly Clip[]>([]);
  isAsking = $state(false);

  readonly #recordingId: string;
  readonly #roomId: string;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(recordingId: string, roomId: string) {
    this.#recordingId = recordingId;
    this.#roomId = roomId;
  }

  get mayAsk(): boolean {
    return this.highlights.length > 1 && !this.isAsking;
  }

  /** Look, and again until the recording is ready. */
  async follow(): Promise<void> {
    clearTimeout(this.#timer);
    try {
      const { status } = await call('get', '/api/recordings/{recording_id}', {
        path: { recording_id: this.#recordingId },
      });
      if (status === 'failed') this.state = 'failed';
      if (status === 'ready') await this.#load();
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
    }
    if (this.state === 'waiting' && !this.#isClosed)
      this.#timer = setTimeout(() => void this.follow(), AGAIN_MS);
  }

  /** Ask the room which of the best moments is the best; the winner becomes a clip. */
  async ask(): Promise<void> {
    this.isAsking = true;
    try {
      await call('post', '/api/rooms/{room_id}/polls/create', {
        path: { room_id: this.#roomId },
        body: {
          poll_type: 'reaction',
          question: text.rooms.summary.question,
          duration_seconds: POLL_S,
          is_anonymous: false,
          results_visibility: 'live',
          highlight_ids: this.highlights.slice(0, POLLED).map((each) => each.id),
          makes_clips: true,
        },
      });
    } catch (error) {
      toasts.warn(sentence(session.heed(error)));
    } finally {
      this.isAsking = false;
    }
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #load(): Promise<void> {
    const path = { recording_id: this.#recordingId };
    const [found, clips] = await Promise.all([
      call('get', '/api/recordings/{recording_id}/highlights', { path, query: { limit: SHOWN } }),
      call('get', '/api/clips', { query: { recording_id: this.#recordingId, limit: SHOWN } }),
    ]);
    this.highlights = found.items;
    this.clips = clips.items;
    this.state = 'ready';
  }
}
