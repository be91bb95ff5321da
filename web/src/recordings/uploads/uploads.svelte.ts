/** All uploads of this browser: a few at once, the others wait; after a reload they go on. */
import { untrack } from 'svelte';
import { call } from '../../api/client';
import { connection } from '../../app/data/connection.svelte';
import { live } from '../../app/data/live.svelte';
import { session } from '../../app/session.svelte';
import { Upload } from './upload.svelte';
import { LARGEST_COPY_BYTES, listStored, store, type StoredUpload } from './upload_store';

const AT_ONCE = 2;

export interface Chosen {
  file: File;
  handle?: FileSystemFileHandle;
}

class Uploads {
  items = $state.raw<Upload[]>([]);
  #restoredFor = '';

  /** Take up what was under way before the page was loaded. */
  async restore(): Promise<void> {
    const owner = session.account?.id ?? '';
    if (!owner || this.#restoredFor === owner) return;
    this.#restoredFor = owner;
    const known = await listStored(owner);
    const found = await Promise.all(known.map((each) => this.#revived(each)));
    this.items = [...this.items, ...found];
    await Promise.all(found.map((each) => each.look()));
    this.next();
  }

  /** Announce files and send them. The first that is refused throws its ApiError; those before it go on. */
  async add(chosen: readonly Chosen[]): Promise<void> {
    for (const { file, handle } of chosen) {
      const { recording, upload } = await call('post', '/api/recordings', {
        body: { filename: file.name, size_bytes: file.size, content_type: file.type || typeOf(file.name) },
      });
      const stored: StoredUpload = {
        recordingId: recording.id,
        owner: session.account?.id ?? '',
        name: file.name,
        size: file.size,
        lastModified: file.lastModified,
        partSize: upload.part_size_bytes,
        isPaused: false,
        ...(handle ? { handle } : file.size <= LARGEST_COPY_BYTES ? { file } : {}),
      };
      this.items = [...this.items, new Upload(stored, file, this.next)];
      await store(stored);
      this.next();
    }
  }

  /** Give an upload its file again, by the browser's permission or by the person's choice. */
  async give(upload: Upload, file?: File): Promise<boolean> {
    const given = file ?? (upload.handle ? await permitted(upload.handle) : undefined);
    if (!given || !upload.fits(given)) return false;
    upload.file = given;
    upload.resume();
    return true;
  }

  /** Start what waits, as far as there is room. */
  readonly next = (): void => {
    if (this.items.some((each) => each.state === 'done')) {
      this.items = this.items.filter((each) => each.state !== 'done');
      live.refresh();
    }
    const running = this.items.filter(
      (each) => each.state === 'sending' || each.state === 'finishing',
    ).length;
    const waiting = this.items
      .filter((each) => each.state === 'queued')
      .slice(0, Math.max(0, AT_ONCE - running));
    for (const upload of waiting) void upload.run();
  };

  /** The network is back: nobody waits for a timer. */
  wake(): void {
    for (const upload of this.items) if (upload.state === 'waiting') upload.resume();
  }

  async #revived(stored: StoredUpload): Promise<Upload> {
    const file = stored.file ?? (stored.handle ? await readable(stored.handle) : undefined);
    return new Upload(stored, file, this.next);
  }
}

/** The file behind a handle, where it may be read without asking. */
async function readable(handle: FileSystemFileHandle): Promise<File | undefined> {
  try {
    const state = await (handle as Permitted).queryPermission?.({ mode: 'read' });
    return state === 'granted' ? await handle.getFile() : undefined;
  } catch {
    return undefined;
  }
}

/** The file behind a handle, after the person was asked. */
async function permitted(handle: FileSystemFileHandle): Promise<File | undefined> {
  try {
    const state = await (handle as Permitted).requestPermission?.({ mode: 'read' });
    return state === 'granted' ? await handle.getFile() : undefined;
  } catch {
    return undefined;
  }
}

interface Permitted extends FileSystemFileHandle {
  queryPermission?: (options: { mode: 'read' }) => Promise<PermissionState>;
  requestPermission?: (options: { mode: 'read' }) => Promise<PermissionState>;
}

const TYPES: Record<string, string> = {
  mkv: 'video/x-matroska',
  mov: 'video/quicktime',
  ts: 'video/mp2t',
  m4a: 'audio/mp4',
  flac: 'audio/flac',
  opus: 'audio/ogg',
};

/** What a file is by its name, where the browser does not know. */
export function typeOf(name: string): string {
  return TYPES[name.split('.').pop()?.toLowerCase() ?? ''] ?? 'application/octet-stream';
}

export const uploads = new Uploads();

$effect.root(() => {
  $effect(() => {
    // Only the network wakes them: what becomes of an upload must not, or it would try again without a pause.
    if (connection.isOnline)
      untrack(() => {
        uploads.wake();
      });
  });
});
