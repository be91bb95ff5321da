/** Uploads that are under way, kept by the browser so that a reload only pauses them. */
import { openDB, type DBSchema, type IDBPDatabase } from 'idb';

export interface StoredUpload {
  recordingId: string;
  /** Whose upload it is: another account in the same browser does not see it. */
  owner: string;
  name: string;
  size: number;
  lastModified: number;
  partSize: number;
  isPaused: boolean;
  /** A reference to the file on disk, where the browser gives one. */
  handle?: FileSystemFileHandle;
  /** A copy of a file that is not too large, where there is no handle. */
  file?: File;
}

interface Schema extends DBSchema {
  uploads: { key: string; value: StoredUpload };
}

/** Chromium copies what it stores; a larger file is chosen again after a reload instead. */
export const LARGEST_COPY_BYTES = 512 * 1024 * 1024;

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('snuggles', 1, {
    upgrade(created) {
      created.createObjectStore('uploads', { keyPath: 'recordingId' });
    },
  });
  return opened;
}

/** What is stored of somebody's uploads; nothing where the browser keeps nothing. */
export async function listStored(owner: string): Promise<StoredUpload[]> {
  try {
    return (await (await database()).getAll('uploads')).filter((each) => each.owner === owner);
  } catch {
    return [];
  }
}

/** Store an upload; without the copy of the file where there is no room for it. */
export async function store(upload: StoredUpload): Promise<void> {
  try {
    await (await database()).put('uploads', upload);
  } catch {
    const { file: _, ...rest } = upload;
    await (await database()).put('uploads', rest).catch(() => undefined);
  }
}

export async function forget(recordingId: string): Promise<void> {
  await (await database()).delete('uploads', recordingId).catch(() => undefined);
}
