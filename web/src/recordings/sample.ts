/** The sample: a short recording for somebody who has none at hand. */
import { ApiError } from '../api/client';

const NAME = 'sample-stage-talk.mp4';

/** Fetch the sample, which is served beside the pages. */
export async function sampleFile(): Promise<File> {
  const answer = await fetch('/sample.mp4').catch(() => undefined);
  if (!answer?.ok) throw new ApiError('The sample could not be loaded.', 'unreachable', 0);
  return new File([await answer.blob()], NAME, { type: 'video/mp4' });
}
