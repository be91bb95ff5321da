import { expect, it } from 'vitest';
import { actionsOf } from './actions';

const names = (status: Parameters<typeof actionsOf>[0]['status'], isKept = false): string[] =>
  actionsOf({
    status,
    is_kept: isKept,
    outputs: { mp4: {}, jpeg: {}, mp3: {} } as unknown as Parameters<typeof actionsOf>[0]['outputs'],
  }).map((each) => each.name + (each.format ? ` ${each.format}` : ''));

it('offers what a state allows', () => {
  expect(names('completed')).toEqual([
    'play',
    'share',
    'download mp4',
    'download mp3',
    'keep',
    'open',
    'rename',
    'remove',
  ]);
  expect(names('completed', true)).toContain('unkeep');
  expect(names('failed')).toEqual(['retry', 'open', 'rename', 'remove']);
  expect(names('processing')).toEqual(['open', 'rename', 'cancel', 'remove']);
});
