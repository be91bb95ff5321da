/** The recording of a room as everybody sees it: since when it runs, and which moments were heard in it. */
import type { Highlight, RoomRecording, ServerEvents } from '../../api/room_events';

const SHOWN = 3;

export interface Moment {
  key: string;
  highlight: Highlight;
}

export class Live {
  running = $state.raw<RoomRecording | null>(null);
  /** The recording that ended while we were here. */
  endedId = $state<string>();
  /** The newest moments; the final ones may differ. */
  moments = $state.raw<readonly Moment[]>([]);

  /** Take over what a join says; a recording that ended meanwhile has ended. */
  joined(recording: RoomRecording | null): void {
    if (this.running && this.running.recordingId !== recording?.recordingId)
      this.#end(this.running.recordingId);
    this.running = recording;
  }

  readonly listeners: { [E in keyof ServerEvents]?: (data: ServerEvents[E]) => void } = {
    'room:recording-started': ({ recordingId }) => {
      this.moments = [];
      this.endedId = undefined;
      this.running = { recordingId, startedAt: new Date().toISOString() };
    },
    'room:recording-stopped': ({ recordingId }) => {
      this.#end(recordingId);
    },
    'highlight:detected': ({ recordingId, highlight }) => {
      const key = `${recordingId} ${highlight.peakS}`;
      this.moments = [{ key, highlight }, ...this.moments.filter((each) => each.key !== key)].slice(0, SHOWN);
    },
  };

  #end(recordingId: string): void {
    this.running = null;
    this.endedId = recordingId;
  }
}
