/** What happens to one's recordings and clips, as it happens: the service pushes, pages load again or take it as it is. */
import { apiUrl, bearerToken, isSameSite } from '../../api/client';
import { session } from '../session.svelte';

export interface ClipProgress {
  clipId: string;
  recordingId: string;
  jobId: string;
  status: string;
  progress: number;
  stage: string | null;
  etaSeconds: number | null;
}

type Listener = (name: string, data: unknown) => void;

const TYPES = [
  'recording:ready',
  'recording:failed',
  'highlights:ready',
  'clip:completed',
  'clip:failed',
  'clip:expired',
  'clip:progress',
];

class Events {
  /** Whether the service can push now; pages ask more often while it cannot. */
  isLive = $state(false);
  #listeners = new Set<Listener>();
  #socket: { disconnect: () => void } | undefined;
  #isStarting = false;

  /** Be told of what happens, until the returned function is called. */
  listen(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Connect while somebody is logged in. The client of the socket is loaded after the page. */
  async start(): Promise<void> {
    if (this.#socket || this.#isStarting) return;
    this.#isStarting = true;
    try {
      const { io } = await import('socket.io-client');
      if (session.state !== 'in') return;
      const options = {
        transports: ['websocket', 'polling'],
        withCredentials: isSameSite,
        ...(isSameSite ? {} : { auth: { token: bearerToken() } }),
      };
      const socket = isSameSite ? io(options) : io(apiUrl(''), options);
      socket.on('connect', () => (this.isLive = true));
      socket.on('disconnect', () => (this.isLive = false));
      for (const name of TYPES)
        socket.on(name, (data: unknown) => {
          for (const listener of this.#listeners) listener(name, data);
        });
      this.#socket = socket;
    } catch {
      this.isLive = false; // pages go on asking
    } finally {
      this.#isStarting = false;
    }
  }

  stop(): void {
    this.#socket?.disconnect();
    this.#socket = undefined;
    this.isLive = false;
  }
}

export const events = new Events();
