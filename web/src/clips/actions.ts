/** What can be done with a clip, by its state. */
import type { Clip } from '../api/types';
import type { IconName } from '../ui/icons/icons';

export type ActionName =
  'play' | 'share' | 'download' | 'rename' | 'open' | 'keep' | 'unkeep' | 'retry' | 'cancel' | 'remove';

export interface Action {
  name: ActionName;
  icon: IconName;
  format?: string;
  /** Whether a line stands before it. */
  hasLine?: boolean;
}

const PICTURES = new Set(['jpeg', 'webp']);

/** The actions of a clip, in the order of a menu. */
export function actionsOf(clip: Pick<Clip, 'status' | 'outputs' | 'is_kept'>): Action[] {
  const actions: Action[] = [];
  if (clip.status === 'completed') {
    actions.push({ name: 'play', icon: 'play' }, { name: 'share', icon: 'share' });
    for (const format of Object.keys(clip.outputs))
      if (!PICTURES.has(format)) actions.push({ name: 'download', icon: 'dl', format });
    actions.push(clip.is_kept ? { name: 'unkeep', icon: 'clock' } : { name: 'keep', icon: 'keep' });
  }
  if (['failed', 'cancelled', 'expired'].includes(clip.status))
    actions.push({ name: 'retry', icon: 'retry' });
  actions.push({ name: 'open', icon: 'tape' }, { name: 'rename', icon: 'edit' });
  if (clip.status === 'queued' || clip.status === 'processing') actions.push({ name: 'cancel', icon: 'x' });
  actions.push({ name: 'remove', icon: 'trash', hasLine: true });
  return actions;
}
