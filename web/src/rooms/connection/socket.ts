/** The room's own connection, typed by the events of the API. */
import type { Socket } from 'socket.io-client';
import { ApiError, apiUrl, bearerToken, isSameSite } from '../../api/client';
import type { Answers, Commands, ServerEvents } from '../../api/room_events';

type Listeners = { [E in keyof ServerEvents]?: (data: ServerEvents[E]) => void };

interface Acknowledgement {
  success: boolean;
  data?: unknown;
  error?: { code: string; message: string; retryable: boolean; details: Record<string, unknown> };
}

const ANSWER_MS = 8000;

export class RoomSocket {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Open a connection; a guest's token goes before the session's cookie. The client is loaded after the page. */
  static async open(guestToken: string | null): Promise<RoomSocket> {
    const { io } = await import('socket.io-client');
    const token = guestToken ?? (isSameSite ? '' : bearerToken());
    const options = {
      forceNew: true,
      autoConnect: false,
      reconnectionDelayMax: 5000,
      withCredentials: isSameSite,
      ...(token ? { auth: { token } } : {}),
    };
    return new RoomSocket(isSameSite ? io(options) : io(apiUrl(''), options));
  }

  get isConnected(): boolean {
    return this.#socket.connected;
  }

  connect(): void {
    this.#socket.connect();
  }

  /** Be told of connections and their ends; `refused` has the server's word for it. */
  onConnection(tell: { up: () => void; down: () => void; refused: (message: string) => void }): void {
    this.#socket.on('connect', tell.up);
    this.#socket.on('disconnect', tell.down);
    this.#socket.on('connect_error', (error) => {
      // An error without a connection attempt to follow is the server's decision.
      if (!this.#socket.active) tell.refused(error.message);
      else tell.down();
    });
  }

  on(listeners: Listeners): void {
    for (const [event, listener] of Object.entries(listeners))
      this.#socket.on(event, listener as (...data: unknown[]) => void);
  }

  /** Do something and wait for the answer. ApiError says why not; code `unreachable` when none came. */
  async ask<E extends keyof Commands>(event: E, data: Commands[E], waitMs = ANSWER_MS): Promise<Answers[E]> {
    let answer: Acknowledgement;
    try {
      answer = (await this.#socket.timeout(waitMs).emitWithAck(event, data)) as Acknowledgement;
    } catch {
      throw new ApiError('', 'unreachable', 0, true);
    }
    if (answer.success) return answer.data as Answers[E];
    const { code = 'unreadable', message = '', retryable = false, details = {} } = answer.error ?? {};
    throw new ApiError(message, code, 0, retryable, details);
  }

  /** Start over: a browser that slept may take a dead connection for a living one. */
  restart(): void {
    this.#socket.disconnect().connect();
  }

  close(): void {
    this.#socket.removeAllListeners();
    this.#socket.disconnect();
  }
}
