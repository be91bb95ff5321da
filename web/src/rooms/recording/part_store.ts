/** Parts of a recording that storage does not have yet, kept by the browser over a reload. */
import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

export interface WaitingPart {
  /** Whose part it is: another account in the same browser does not send it. */
  owner: string;
  roomId: string;
  trackId: string;
  number: number;
  startMs: number;
  durationMs: number;
  bytes: Blob;
}

interface Schema extends DBSchema {
  parts: { key: [string, number]; value: WaitingPart };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('snuggles-live', 1, {
    upgrade(created) {
      created.createObjectStore('parts', { keyPath: ['trackId', 'number'] });
    },
  });
  return opened;
}

/** Return somebody's waiting parts of a room, in order; none where the browser keeps nothing. */
export async function listWaiting(owner: string, roomId: string): Promise<WaitingPart[]> {
  try {
    const all = await (await database()).getAll('parts');
    return all.filter((each) => each.owner === owner && each.roomId === roomId);
  } catch {
    return [];
  }
}

/** Keep a part; where the browser refuses, it waits in memory alone. */
export async function keep(part: WaitingPart): Promise<void> {
  try {
    await (await database()).put('parts', part);
  } catch {
    // A private window, or a full disk.
  }
}

export async function forget(part: WaitingPart): Promise<void> {
  try {
    await (await database()).delete('parts', [part.trackId, part.number]);
  } catch {
    // It was in memory alone.
  }
}
