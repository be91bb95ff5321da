/** The places that the sidebar and the tabs of a phone lead to. */
import type { Account } from '../../api/types';
import type { IconName } from '../../ui/icons/icons';

interface Place {
  path: string;
  name: 'recordings' | 'clips' | 'spaces' | 'analytics';
  icon: IconName;
  isShown: (account: Account | null) => boolean;
}

const always = (): boolean => true;

export const NAV: readonly Place[] = [
  { path: '/recordings', name: 'recordings', icon: 'tape', isShown: always },
  { path: '/clips', name: 'clips', icon: 'clip', isShown: always },
  { path: '/spaces', name: 'spaces', icon: 'room', isShown: always },
  { path: '/analytics', name: 'analytics', icon: 'chart', isShown: always },
];

/** Whether an address is at a place or below it. */
export function isHere(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`);
}
