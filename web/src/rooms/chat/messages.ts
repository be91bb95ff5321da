/** What was said in a room: what the service has, and what is on its way there. */
import type { Message } from '../../api/room_events';

/** A message that the service has not acknowledged yet. */
export interface Pending {
  clientMsgId: string;
  content: string;
  hasFailed: boolean;
}

/** Merge messages by their id, newer versions over older ones, in the order in which they were said. */
export function merge(known: readonly Message[], news: readonly Message[]): readonly Message[] {
  const byId = new Map(known.map((each) => [each.id, each]));
  for (const each of news) byId.set(each.id, each);
  return [...byId.values()].sort((a, b) => a.seq - b.seq);
}

/** Pending messages without those that have arrived. */
export function without(pending: readonly Pending[], arrived: readonly Message[]): readonly Pending[] {
  const ids = new Set(arrived.map((each) => each.clientMsgId));
  return pending.filter((each) => !ids.has(each.clientMsgId));
}

/** Whether a message goes on where the one before stopped: same person, within five minutes. */
export function goesOn(before: Message | undefined, message: Message): boolean {
  if (before?.userId !== message.userId) return false;
  return Date.parse(message.createdAt) - Date.parse(before.createdAt) < 5 * 60_000;
}
