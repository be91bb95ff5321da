/** What a recording is doing, in words. */
import type { Recording } from '../api/types';
import { span } from '../format/when';
import { text } from '../text';

/** Whether it will change by itself. */
export function isMoving(recording: Recording): boolean {
  return recording.status === 'processing' || recording.status === 'live' || Boolean(recording.work);
}

/** `Listening, 2 min left`. */
export function doing(recording: Recording): string {
  const { state, left } = text.recordings;
  const work = recording.work;
  if (recording.status === 'live') return state.live;
  if (recording.status === 'uploading' && !work) return state.uploading;
  if (!work) return state.working;
  if (work.status === 'queued') return state.queued;
  const stages: Record<string, string> = state;
  const words = (work.kind === 'ingest' ? stages[work.stage ?? ''] : stages[work.kind]) ?? state.working;
  return work.eta_s === null || work.eta_s === undefined ? words : left(words, span(work.eta_s));
}
