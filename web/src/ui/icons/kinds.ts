/** The five kinds of highlight and the icon of each. */
import type { IconName } from './icons';

export type Kind = 'humor' | 'celebration' | 'surprise' | 'emotional' | 'engagement';

export const KIND_ICONS: Record<Kind, IconName> = {
  humor: 'laugh',
  celebration: 'party',
  surprise: 'bolt',
  emotional: 'drop',
  engagement: 'wavehand',
};
