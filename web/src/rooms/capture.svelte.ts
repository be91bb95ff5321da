/** Our part in the recording of a room: consent, the microphone, its parts, and saved moments. */
import { ApiError, call } from '../api/client';
import { sentence } from '../app/data/fault';
import { session } from '../app/session.svelte';
import { toasts } from '../app/toasts.svelte';
import { text } from '../text';
import { Microphone } from './microphone.svelte';
import { PartQueue } from './part_queue.svelte';
import type { RoomView } from './room.svelte';

export class Capture {
  microphone = $state.raw<Microphone>();
  queue = $state.raw<PartQueue>();
  /** Stop was pressed, and parts are still on their way. */
  isStopping = $state(false);
  isBusy = $state(false);
  #refusedId = $state<string>();
  #brokenId = $state<string>();

  readonly #view: RoomView;
  #isOpening = false;
  #isClosed = false;

  constructor(view: RoomView) {
    this.#view = view;
  }

  /** Whether we have yet to answer to being recorded. */
  get isAsked(): boolean {
    const { live, you } = this.#view;
    return (
      !!live.running &&
      !!you &&
      !you.hasConsented &&
      live.running.recordingId !== this.#refusedId &&
      !this.isBusy
    );
  }

  /** Whether we listen only, and could be recorded. */
  get isListening(): boolean {
    const { running } = this.#view.live;
    return !!running && !this.microphone && !this.isAsked;
  }

  /** Record whenever the room does and we have agreed; to be called when one of these changes. */
  follow(): void {
    const { live, room, you } = this.#view;
    if (!room || !you) return;
    if (!this.queue) {
      this.queue = new PartQueue(you.userId, room.id);
      void this.queue.resume();
    }
    const id = live.running?.recordingId;
    if (!id) {
      this.isStopping = false;
      void this.#silence();
    } else if (you.hasConsented && !this.isStopping && !this.microphone && this.#brokenId !== id) {
      void this.#record(room.id, id);
    }
  }

  async start(): Promise<void> {
    await this.#post('start');
  }

  async answer(given: boolean): Promise<void> {
    const id = this.#view.live.running?.recordingId;
    this.#refusedId = given ? undefined : id;
    this.#brokenId = undefined;
    await this.#post('consent', { given });
  }

  /** Stop when what was recorded here is stored; pressed again, at once. */
  async stop(): Promise<void> {
    if (!this.isStopping) {
      this.isStopping = true;
      await this.#silence();
      while (this.queue?.waiting && this.isStopping && this.#view.live.running && !this.#isClosed)
        await new Promise((resolve) => setTimeout(resolve, 100));
      if (this.#isClosed || !this.#view.live.running) return;
    }
    if (!(await this.#post('stop'))) this.isStopping = false;
  }

  async remember(): Promise<void> {
    if (await this.#post('marks', {})) toasts.tell(text.rooms.recording.remembered, { icon: 'flag' });
  }

  close(): void {
    this.#isClosed = true;
    void this.#silence().then(() => {
      this.queue?.close();
    });
  }

  async #record(roomId: string, recordingId: string): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    try {
      const microphone = await Microphone.open();
      try {
        const { track } = await call('post', '/api/rooms/{room_id}/recording/tracks', {
          path: { room_id: roomId },
          body: {
            source: 'microphone',
            content_type: microphone.contentType,
            client_now_ms: Math.round(performance.now()),
          },
        });
        if (this.#isClosed || this.#view.live.running?.recordingId !== recordingId)
          throw new Error('too late');
        microphone.record((slice) => void this.queue?.add({ trackId: track.id, ...slice }));
        this.microphone = microphone;
      } catch (error) {
        await microphone.close();
        throw error;
      }
    } catch (error) {
      this.#brokenId = recordingId;
      if (error instanceof DOMException) toasts.warn(text.rooms.recording.noMicrophone);
      else if (error instanceof ApiError) toasts.warn(sentence(session.heed(error)));
    } finally {
      this.#isOpening = false;
    }
  }

  async #silence(): Promise<void> {
    const microphone = this.microphone;
    this.microphone = undefined;
    await microphone?.close();
  }

  async #post(what: 'start' | 'stop' | 'consent' | 'marks', body?: object): Promise<boolean> {
    const room = this.#view.room;
    if (!room || this.isBusy) return false;
    this.isBusy = true;
    try {
      await call('post', `/api/rooms/{room_id}/recording/${what}`, {
        path: { room_id: room.id },
        ...(body ? { body: body as never } : {}),
      });
      return true;
    } catch (error) {
      toasts.warn(sentence(session.heed(error)));
      return false;
    } finally {
      this.isBusy = false;
    }
  }
}
