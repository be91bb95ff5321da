/** What the service found in a file. */
import type { Recording } from '../../api/types';

interface Stream {
  kind?: string;
  frame_rate?: number;
  width?: number;
  height?: number;
}

/** The picture of a recording, if it has one. */
export function pictureOf(recording: Recording | undefined): Stream | undefined {
  const streams = recording?.probe?.['streams'];
  return Array.isArray(streams) ? (streams as Stream[]).find((each) => each.kind === 'video') : undefined;
}
