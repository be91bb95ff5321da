/** One room as this browser sees it: who is in it, what was said, and how good the connection is. */
import { address, ApiError, send, setBearer } from '../api/client';
import type { Message, Participant, Room } from '../api/room_events';
import { sentence } from '../app/data/fault';
import { session } from '../app/session.svelte';
import { toasts } from '../app/toasts.svelte';
import { Polls } from '../polls/polls.svelte';
import { text } from '../text';
import { camelKeys } from './connection/camel';
import { Live } from './recording/live.svelte';
import { merge, without, type Pending } from './chat/messages';
import { Typists } from './chat/typists.svelte';
import { RoomSocket } from './connection/socket';
import { Floats } from './floats.svelte';
import { Microphones } from './voice/microphones.svelte';
import { Voice } from './voice/voice.svelte';

export type State = 'joining' | 'inside' | 'away' | 'kicked' | 'banned' | 'ended' | 'left' | 'refused';
export type Action = 'kick' | 'ban' | 'mute' | 'unmute' | 'promote' | 'demote' | 'transfer';

const PROBE_MS = 15_000;
const PROBE_ANSWER_MS = 4000;
const SLOW_MS = 1500;
const TYPING_AGAIN_MS = 3000;
const PAGE = 50;

export class RoomView {
  state = $state<State>('joining');
  /** Why the room is closed to us, in words. */
  problem = $state('');
  problemCode = $state('');
  room = $state.raw<Room>();
  you = $state.raw<Participant>();
  people = $state.raw<readonly Participant[]>([]);
  messages = $state.raw<readonly Message[]>([]);
  pending = $state.raw<readonly Pending[]>([]);
  hasEarlier = $state(false);
  /** How long the room takes to answer, in ms. */
  latencyMs = $state(0);
  readonly typists = new Typists();
  readonly floats = new Floats();
  readonly polls = new Polls();
  readonly live = new Live();
  readonly microphones = new Microphones();
  readonly voice = new Voice(
    this.microphones,
    () => ({ isHere: this.isHere, roomId: this.room?.id, myId: this.you?.userId, people: this.people }),
    (event, data) =>
      this.#socket?.ask(event, data) ?? Promise.reject(new ApiError('', 'unreachable', 0, true)),
  );

  /** The names of those who are writing. */
  typing = $derived(this.typists.ids.map((userId) => this.nameOf(userId)).filter(Boolean));
  isSlow = $derived(this.latencyMs > SLOW_MS);
  isEditor = $derived(this.you?.role === 'host' || this.you?.role === 'co_host');
  isHost = $derived(this.you?.role === 'host');
  /** Whether we are in the room; a connection that is gone for the moment does not change that. */
  isHere = $derived(this.state === 'inside' || this.state === 'away' || this.state === 'joining');

  readonly #code: string;
  #guestToken: string | null;
  #socket: RoomSocket | undefined;
  #lastSeq: number | null = null;
  #lastTypedMs = 0;
  #probe: ReturnType<typeof setInterval> | undefined;
  #isClosed = false;

  constructor(code: string, guestToken: string | null) {
    this.#code = code;
    this.#guestToken = guestToken;
  }

  /** Connect and join; joins again after every interruption. */
  async open(): Promise<void> {
    if (this.#guestToken) setBearer(this.#guestToken);
    const socket = await RoomSocket.open(this.#guestToken);
    if (this.#isClosed) {
      socket.close();
      return;
    }
    this.#socket = socket;
    socket.onConnection({
      up: () => void this.#join(),
      down: () => {
        if (this.state === 'inside') this.state = 'away';
      },
      refused: (message) => {
        this.#refuse(new ApiError(message === 'unauthorized' ? text.shell.ended : message, message, 0));
      },
    });
    this.#listen(socket);
    socket.connect();
    this.#probe = setInterval(() => void this.probe(), PROBE_MS);
    document.addEventListener('visibilitychange', this.#onShow);
  }

  close(): void {
    this.#isClosed = true;
    void this.voice.close();
    this.#socket?.close();
    clearInterval(this.#probe);
    this.typists.close();
    document.removeEventListener('visibilitychange', this.#onShow);
    if (this.#guestToken) setBearer('');
  }

  async join(): Promise<void> {
    this.state = 'joining';
    if (this.#socket?.isConnected) await this.#join();
    else this.#socket?.connect();
  }

  /** Ask the room for a sign of life; a connection that gives none is opened again. */
  async probe(): Promise<void> {
    const socket = this.#socket;
    if (!socket?.isConnected || this.state !== 'inside' || document.hidden) return;
    const began = performance.now();
    try {
      await socket.ask('room:presence-update', {}, PROBE_ANSWER_MS);
      this.latencyMs = performance.now() - began;
    } catch (error) {
      if (error instanceof ApiError && error.code !== 'unreachable') return;
      this.state = 'away';
      socket.restart();
    }
  }

  /** Write: shown at once, and sent again under the same id until the room has it. */
  async say(content: string): Promise<void> {
    const message = { clientMsgId: crypto.randomUUID(), content, hasFailed: false };
    this.pending = [...this.pending, message];
    this.#lastTypedMs = 0;
    await this.#send(message);
  }

  async sayAgain(message: Pending): Promise<void> {
    this.#mark(message, false);
    await this.#send(message);
  }

  async edit(message: Message, content: string): Promise<void> {
    await this.#do(async (socket) => {
      this.#take([(await socket.ask('room:message-edit', { id: message.id, content })).message]);
    });
  }

  async remove(message: Message): Promise<void> {
    await this.#do(async (socket) => {
      this.#take([(await socket.ask('room:message-delete', { id: message.id })).message]);
    });
  }

  /** Load the messages before those that are shown. */
  async earlier(): Promise<void> {
    const first = this.messages[0];
    if (!this.room || !first) return;
    const path = address(
      '/api/rooms/{id}/messages',
      { id: this.room.id },
      { before: first.seq, limit: PAGE },
    );
    await this.#attempt(async () => {
      const page = camelKeys(await send('get', path)) as { items: Message[]; hasMore: boolean };
      this.messages = merge(this.messages, page.items);
      this.hasEarlier = page.hasMore;
    });
  }

  /** Tell the room that we write, now and then. */
  typed(): void {
    if (Date.now() - this.#lastTypedMs < TYPING_AGAIN_MS || this.state !== 'inside') return;
    this.#lastTypedMs = Date.now();
    this.#socket?.ask('room:typing', { isTyping: true }).catch(() => undefined);
  }

  async react(emoji: string): Promise<void> {
    await this.#do((socket) => socket.ask('room:reaction', { emoji }));
  }

  async change(updates: Partial<Pick<Room, 'name' | 'isLocked' | 'allowGuests'>>): Promise<void> {
    await this.#do(async (socket) => {
      this.room = (await socket.ask('room:state-update', { updates })).room;
      toasts.tell(text.rooms.settings.saved);
    });
  }

  async moderate(person: Participant, action: Action): Promise<void> {
    await this.#post(`participants/${person.userId}/${action}`);
  }

  async end(): Promise<void> {
    const room = this.room;
    if (room) await this.#attempt(() => send('delete', `/api/rooms/${room.id}`));
  }

  async leave(): Promise<void> {
    await this.#do((socket) => socket.ask('room:leave', {}));
    this.state = 'left';
  }

  async vote(pollId: string, optionId: string): Promise<void> {
    await this.#do(async (socket) => {
      const { results } = await socket.ask('poll:vote', { pollId, optionId });
      this.polls.chose(pollId, optionId);
      this.polls.results(pollId, results);
    });
  }

  /** Do something about a poll over HTTP; the answer is the poll as we may see it. */
  async poll(pollId: string, action: string, body?: unknown): Promise<void> {
    await this.#attempt(async () => {
      const answer = await send('post', `/api/polls/${pollId}/${action}`, body === undefined ? {} : { body });
      this.polls.put(camelKeys(answer) as Parameters<Polls['put']>[0], { isMine: true });
    });
  }

  async ask(question: Parameters<RoomSocket['ask']>[1]): Promise<boolean> {
    let isAsked = false;
    await this.#do(async (socket) => {
      const { poll } = await socket.ask('poll:create', question as never);
      this.polls.put(poll);
      isAsked = true;
    });
    return isAsked;
  }

  nameOf(userId: string): string {
    return this.people.find((each) => each.userId === userId)?.displayName ?? '';
  }

  async #join(): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.state === 'left' || this.state === 'ended') return;
    const wasAway = this.state === 'away';
    try {
      const lastSeq = this.#lastSeq;
      const joined = await socket.ask('room:join', {
        roomCode: this.#code,
        ...(lastSeq === null ? {} : { lastSeq }),
      });
      this.room = joined.room;
      this.live.joined(joined.room.recording);
      this.you = joined.you;
      this.people = joined.participants;
      this.#lastSeq = Math.max(this.#lastSeq ?? 0, joined.lastSeq);
      this.state = 'inside';
      this.voice.joined();
      if (wasAway) toasts.tell(text.rooms.health.back);
      for (const message of this.pending) void this.#send(message);
      await this.polls.load(joined.room.id).catch(() => undefined);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'unreachable') socket.restart();
      else this.#refuse(error);
    }
  }

  #listen(socket: RoomSocket): void {
    socket.on({
      ...this.polls.listeners,
      ...this.live.listeners,
      ...this.voice.listeners,
      'room:messages-history': ({ messages, hasMore }) => {
        const isFirst = this.#lastSeq === null;
        this.#take(messages);
        if (isFirst) this.hasEarlier = hasMore;
        // More was said than comes at once: start over with the newest.
        else if (hasMore) this.hasEarlier = true;
      },
      'room:message-received': (message) => {
        this.#seen(message.seq);
        this.#take([message]);
        this.typists.stop(message.userId);
      },
      'room:message-updated': (message) => {
        this.#seen(message.eventSeq);
        this.#take([message]);
      },
      'room:participant-joined': ({ seq, participant }) => {
        this.#seen(seq);
        this.#put(participant);
      },
      'room:participant-updated': ({ seq, participant }) => {
        this.#seen(seq);
        const known = this.people.find((each) => each.userId === participant.userId);
        this.#put({ ...participant, isOnline: known?.isOnline ?? participant.isOnline });
      },
      'room:participant-left': ({ seq, userId }) => {
        this.#seen(seq);
        this.people = this.people.filter((each) => each.userId !== userId);
        this.typists.stop(userId);
      },
      'room:presence-updated': ({ userId, isOnline }) => {
        this.people = this.people.map((each) => (each.userId === userId ? { ...each, isOnline } : each));
      },
      'room:state-updated': ({ seq, room }) => {
        this.#seen(seq);
        this.room = { ...room, yourRole: this.you?.role ?? null };
      },
      'room:personality-changed': ({ seq, mode }) => {
        this.#seen(seq);
        if (this.room) this.room = { ...this.room, mode };
        toasts.tell(text.rooms.chat.modeIs(mode), { icon: 'heart' });
      },
      'room:typing': ({ userId, isTyping }) => {
        if (userId === this.you?.userId) return;
        if (isTyping) this.typists.start(userId);
        else this.typists.stop(userId);
      },
      'room:reaction': ({ emoji }) => {
        this.floats.add(emoji);
      },
      'room:kicked': ({ reason }) => {
        this.state = reason === 'banned' ? 'banned' : 'kicked';
      },
      'room:ended': () => {
        this.state = 'ended';
        if (this.room) this.room = { ...this.room, isActive: false, status: 'ended' };
      },
    });
  }

  readonly #onShow = (): void => {
    if (!document.hidden) void this.probe();
  };

  async #send(message: Pending): Promise<void> {
    const socket = this.#socket;
    if (!socket || this.state !== 'inside') return;
    try {
      const { content, clientMsgId } = message;
      this.#take([(await socket.ask('room:message', { messageType: 'text', content, clientMsgId })).message]);
    } catch (error) {
      if (error instanceof ApiError && error.code === 'unreachable') return; // sent again after the next join
      this.#mark(message, true);
      toasts.warn(sentence(error));
    }
  }

  #mark(message: Pending, hasFailed: boolean): void {
    this.pending = this.pending.map((each) =>
      each.clientMsgId === message.clientMsgId ? { ...each, hasFailed } : each,
    );
  }

  #take(messages: readonly Message[]): void {
    this.messages = merge(this.messages, messages);
    this.pending = without(this.pending, messages);
  }

  #seen(seq: number): void {
    this.#lastSeq = Math.max(this.#lastSeq ?? 0, seq);
  }

  #put(person: Participant): void {
    const isKnown = this.people.some((each) => each.userId === person.userId);
    this.people = isKnown
      ? this.people.map((each) => (each.userId === person.userId ? person : each))
      : [...this.people, person];
    if (person.userId === this.you?.userId) this.you = person;
  }

  #refuse(error: unknown): void {
    this.problem = sentence(session.heed(error));
    this.problemCode = error instanceof ApiError ? error.code : '';
    this.state =
      this.problemCode === 'banned' ? 'banned' : this.problemCode === 'room_ended' ? 'ended' : 'refused';
  }

  async #post(path: string): Promise<void> {
    const room = this.room;
    if (room) await this.#attempt(() => send('post', `/api/rooms/${room.id}/${path}`));
  }

  async #do(work: (socket: RoomSocket) => Promise<unknown>): Promise<void> {
    const socket = this.#socket;
    if (socket) await this.#attempt(() => work(socket));
  }

  async #attempt(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      toasts.warn(sentence(session.heed(error)));
    }
  }
}
