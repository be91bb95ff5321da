/** The reactions that the dock offers, and how they are drawn; others come as they are. */
import type { IconName } from '../ui/icons/icons';

export const REACTIONS: Readonly<Record<string, IconName>> = {
  '👏': 'hand',
  '😂': 'laugh',
  '❤️': 'heart',
  '🎉': 'party',
};
