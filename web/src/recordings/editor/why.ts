/** Why a highlight is one: its strongest signals, the strongest first. */
import type { Highlight } from '../../api/types';

export interface Part {
  signal: string;
  contribution: number;
}

const MOST = 5;
const LEAST = 0.005;
/** What every candidate has is no reason for this one. */
const NO_REASON = new Set(['base', 'duration']);

/** What raised the score most; what lowered it is left out. */
export function strongest(highlight: Pick<Highlight, 'reasons'>): Part[] {
  return highlight.reasons
    .filter((each) => each.contribution >= LEAST && !NO_REASON.has(each.signal))
    .sort((a, b) => b.contribution - a.contribution)
    .slice(0, MOST)
    .map(({ signal, contribution }) => ({ signal, contribution }));
}
