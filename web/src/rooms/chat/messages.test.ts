import { expect, test } from 'vitest';
import type { Message } from '../../api/room_events';
import { goesOn, merge, without } from './messages';

function message(seq: number, changes: Partial<Message> = {}): Message {
  return {
    id: `m${seq}`,
    seq,
    roomId: 'r',
    userId: 'u',
    displayName: 'Ada',
    messageType: 'text',
    content: `${seq}`,
    clientMsgId: null,
    createdAt: new Date(seq * 1000).toISOString(),
    editedAt: null,
    deletedAt: null,
    ...changes,
  };
}

test('messages are merged by id, in their order, newer versions last', () => {
  const merged = merge([message(1), message(3)], [message(2), message(3, { content: 'new' })]);
  expect(merged.map((each) => each.content)).toEqual(['1', '2', 'new']);
});

test('what has arrived is no longer pending', () => {
  const pending = ['a', 'b'].map((clientMsgId) => ({ clientMsgId, content: '', hasFailed: false }));
  expect(without(pending, [message(1, { clientMsgId: 'a' })]).map((each) => each.clientMsgId)).toEqual(['b']);
});

test('a message goes on after one of the same person, soon after it', () => {
  expect(goesOn(message(1), message(2))).toBe(true);
  expect(goesOn(message(1), message(2, { userId: 'v' }))).toBe(false);
  expect(goesOn(message(1), message(400))).toBe(false);
  expect(goesOn(undefined, message(1))).toBe(false);
});
