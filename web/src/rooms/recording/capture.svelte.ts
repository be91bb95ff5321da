/** Our part in the recording of a room: consent, what is recorded here, its parts, and saved moments. */
import { ApiError, call } from '../../api/client';
import { sentence } from '../../app/data/fault';
import { session } from '../../app/session.svelte';
import { toasts } from '../../app/toasts.svelte';
import { text } from '../../text';
import type { RoomView } from '../room.svelte';
import { PartQueue } from './part_queue.svelte';
import { Recorder } from './recorder';

export type Picture = 'camera' | 'screen';

export class Capture {
  queue = $state.raw<PartQueue>();
  /** Records our microphone. */
  recorder = $state.raw<Recorder>();
  /** Which picture of ours is recorded. */
  picture = $state<Picture>();
  /** Stop was pressed, and parts are still on their way. */
  isStopping = $state(false);
  isBusy = $state(false);
  #refusedId = $state<string>();
  #brokenId = $state<string>();

  readonly #view: RoomView;
  #pictureRecorder: Recorder | undefined;
  #pictureStream: MediaStream | undefined;
  #isOpening = false;
  #isClosed = false;
  /** Something of ours was recorded, and the service waits for it. */
  #isIncomplete = false;

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
    return !!this.#view.live.running && !this.recorder && !this.isAsked;
  }

  /** Record whenever the room does and we have agreed; to be called when one of these changes. */
  follow(): void {
    const { live, room, you } = this.#view;
    if (!room || !you) return;
    if (!this.queue) this.queue = this.#open(you.userId, room.id);
    const id = this.#view.isHere ? live.running?.recordingId : undefined;
    if (!id) {
      this.isStopping = false;
      void this.#finish();
    } else if (you.hasConsented && !this.isStopping && !this.recorder && this.#brokenId !== id) {
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
      while (this.#isWaiting && this.isStopping && this.#view.live.running && !this.#isClosed)
        await new Promise((resolve) => setTimeout(resolve, 100));
      if (this.#isClosed || !this.#view.live.running) return;
    }
    if (!(await this.#post('stop'))) this.isStopping = false;
  }

  async remember(): Promise<void> {
    if (await this.#post('marks', {})) toasts.tell(text.rooms.recording.remembered, { icon: 'flag' });
  }

  /** Record a camera, or a tab with its sound. */
  async show(picture: Picture): Promise<void> {
    const { room, live } = this.#view;
    if (!room || !live.running || this.picture) return;
    const { mediaDevices } = navigator;
    try {
      const stream =
        picture === 'camera'
          ? await mediaDevices.getUserMedia({ video: { width: { ideal: 1280 }, height: { ideal: 720 } } })
          : await mediaDevices.getDisplayMedia({ video: true, audio: true });
      try {
        this.#pictureRecorder = await this.#begin(room.id, picture, stream);
      } catch (error) {
        for (const track of stream.getTracks()) track.stop();
        throw error;
      }
      this.#pictureStream = stream;
      this.picture = picture;
      // The browser's own button ends the sharing of a tab.
      this.#pictureRecorder.onend = () => void this.hide();
    } catch (error) {
      if (error instanceof DOMException) toasts.warn(text.rooms.recording.noPicture);
      else toasts.warn(sentence(session.heed(error)));
    }
  }

  async hide(): Promise<void> {
    const [recorder, stream] = [this.#pictureRecorder, this.#pictureStream];
    this.#pictureRecorder = this.#pictureStream = this.picture = undefined;
    await recorder?.stop();
    for (const track of stream?.getTracks() ?? []) track.stop();
  }

  close(): void {
    this.#isClosed = true;
    void this.#silence().then(() => {
      this.queue?.close();
    });
  }

  get #isWaiting(): boolean {
    return !!this.queue?.waiting && !this.queue.refusal;
  }

  #open(owner: string, roomId: string): PartQueue {
    const queue = new PartQueue(owner, roomId);
    queue.onempty = () => {
      if (!this.recorder && (this.#isClosed || !this.#view.live.running)) void this.#complete(roomId);
    };
    queue.onrefused = (error) => {
      this.#brokenId = this.#view.live.running?.recordingId;
      void this.#silence();
      toasts.warn(sentence(session.heed(error)));
    };
    void queue.resume().then(() => {
      if (queue.waiting > 0) this.#isIncomplete = true;
    });
    return queue;
  }

  async #record(roomId: string, recordingId: string): Promise<void> {
    if (this.#isOpening) return;
    this.#isOpening = true;
    try {
      const microphone = await this.#view.microphones.take('recording');
      try {
        const recorder = await this.#begin(roomId, 'microphone', microphone.stream);
        if (this.#isClosed || this.#view.live.running?.recordingId !== recordingId) {
          await recorder.stop();
          throw new DOMException('the recording has ended', 'AbortError');
        }
        this.recorder = recorder;
        // Another microphone was chosen, or this one is gone: follow() goes on with the next, in a track of its own.
        recorder.onend = () => {
          this.recorder = undefined;
        };
      } catch (error) {
        await this.#view.microphones.give('recording');
        throw error;
      }
    } catch (error) {
      this.#brokenId = recordingId;
      if (error instanceof DOMException && error.name !== 'AbortError')
        toasts.warn(text.rooms.recording.noMicrophone);
      else if (error instanceof ApiError) toasts.warn(sentence(session.heed(error)));
    } finally {
      this.#isOpening = false;
    }
  }

  /** Begin a track of a stream. */
  async #begin(roomId: string, source: 'microphone' | Picture, stream: MediaStream): Promise<Recorder> {
    const recorder = new Recorder(stream);
    const { track } = await call('post', '/api/rooms/{room_id}/recording/tracks', {
      path: { room_id: roomId },
      body: {
        source,
        content_type: recorder.contentType,
        client_now_ms: Math.round(performance.now()),
      },
    });
    this.#isIncomplete = true;
    recorder.start((slice) => void this.queue?.add({ trackId: track.id, ...slice }));
    return recorder;
  }

  /** Stop recording here; resolves when the last parts are in the queue. */
  async #silence(): Promise<void> {
    const recorder = this.recorder;
    this.recorder = undefined;
    await Promise.all([recorder?.stop(), this.hide()]);
    await this.#view.microphones.give('recording');
  }

  /** The recording has ended: send the rest, and say that it was the rest. */
  async #finish(): Promise<void> {
    const roomId = this.#view.room?.id;
    await this.#silence();
    if (roomId && this.queue?.waiting === 0) await this.#complete(roomId);
  }

  async #complete(roomId: string): Promise<void> {
    if (!this.#isIncomplete) return;
    this.#isIncomplete = false;
    try {
      await call('post', '/api/rooms/{room_id}/recording/complete', { path: { room_id: roomId } });
    } catch {
      // Without it, the service waits for its grace period.
    }
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
