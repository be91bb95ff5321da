/** The keys of the workbench. */
import type { Workbench } from './workbench.svelte';

export interface Commands {
  make: () => void;
  help: () => void;
  zoom: (direction: -1 | 1) => void;
}

/** What a key does; undefined where it does nothing here. */
export function commandOf(
  event: Pick<KeyboardEvent, 'key' | 'shiftKey' | 'ctrlKey' | 'metaKey' | 'altKey'>,
  bench: Workbench,
  commands: Commands,
): (() => void) | undefined {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const step = event.shiftKey ? 1 : bench.frame;
  const actions: Record<string, () => void> = {
    j: () => bench.player?.shuttle(-1),
    k: () => bench.player?.toggle(),
    ' ': () => bench.player?.toggle(),
    l: () => bench.player?.shuttle(1),
    i: () => {
      bench.setHere('start');
    },
    o: () => {
      bench.setHere('end');
    },
    s: () => {
      bench.hasSnap = !bench.hasSnap;
    },
    arrowleft: () => {
      bench.seek(bench.time - step);
    },
    arrowright: () => {
      bench.seek(bench.time + step);
    },
    arrowup: () => {
      bench.step(-1);
    },
    arrowdown: () => {
      bench.step(1);
    },
    home: () => {
      bench.seek(bench.selection.start);
    },
    end: () => {
      bench.seek(bench.selection.end);
    },
    '+': () => {
      commands.zoom(1);
    },
    '=': () => {
      commands.zoom(1);
    },
    '-': () => {
      commands.zoom(-1);
    },
    enter: commands.make,
    '?': commands.help,
  };
  return actions[event.key.toLowerCase()];
}

/** Whether a key belongs to what has the focus: a field, a menu, a button that Enter or Space presses. */
export function isTaken(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (
    target.closest(
      'dialog, [role="menu"], textarea, select, input:not([type="range"]):not([type="checkbox"])',
    )
  )
    return true;
  const isPress = event.key === 'Enter' || event.key === ' ';
  if (isPress) return target.closest('button, a, input, summary, label') !== null;
  const isMove = /^(Arrow|Home$|End$|Page)/.test(event.key);
  return isMove && target.closest('input, [role="slider"], [role="scrollbar"]') !== null;
}
