/** Talking in a room: whom we hear, who hears us, and who speaks just now. */
import { ApiError, call } from '../../api/client';
import type { Participant, ServerEvents } from '../../api/room_events';
import { sentence } from '../../app/data/fault';
import { session } from '../../app/session.svelte';
import { toasts } from '../../app/toasts.svelte';
import { text } from '../../text';
import type { RoomSocket } from '../connection/socket';
import type { Microphones } from './microphones.svelte';
import { Peer, type Said } from './peer';

const LOOK_MS = 150;
/** A voice, as levels of WebRTC go; a pause between two words does not put the light out. */
const LOUD = 0.015;
const OWN_LOUD = 0.45;
const HOLD_MS = 500;
const AGAIN_MS = 2000;
/** A page that has just come in asks everybody to begin. */
const HELLO = { description: { type: 'hello' } } as const;

interface Place {
  isHere: boolean;
  roomId: string | undefined;
  myId: string | undefined;
  people: readonly Participant[];
}

export class Voice {
  isOn = $state(false);
  isBusy = $state(false);
  /** Whose microphone is on. */
  voices = $state.raw<ReadonlySet<string>>(new Set());
  /** Who is heard at this moment. */
  talking = $state.raw<ReadonlySet<string>>(new Set());
  /** The browser lets nobody be heard before a gesture. */
  isBlocked = $state(false);

  readonly #microphones: Microphones;
  readonly #place: () => Place;
  readonly #ask: RoomSocket['ask'];
  readonly #peers = new Map<string, Peer>();
  readonly #announced = new Set<string>();
  readonly #heardAt = new Map<string, number>();
  #iceServers: Promise<RTCIceServer[]> | undefined;
  #looking: ReturnType<typeof setInterval> | undefined;
  #hasSaidHello = false;

  constructor(microphones: Microphones, place: () => Place, ask: RoomSocket['ask']) {
    this.#microphones = microphones;
    this.#place = place;
    this.#ask = ask;
  }

  readonly listeners: { [E in keyof ServerEvents]?: (data: ServerEvents[E]) => void } = {
    'room:signal': ({ from, description, candidate }) => {
      void this.#take(from, { description, candidate } as Said);
    },
    'room:voice-started': ({ userId }) => {
      this.#announced.add(userId);
    },
    'room:voice-stopped': ({ userId }) => {
      this.#announced.delete(userId);
    },
  };

  /** We are in the room, again perhaps. */
  joined(): void {
    this.#looking ??= setInterval(() => {
      this.#look();
    }, LOOK_MS);
    if (this.isOn) this.#ask('room:voice-start', {}).catch(() => undefined);
    if (this.#hasSaidHello) return;
    this.#hasSaidHello = true;
    for (const each of this.#others())
      this.#ask('room:signal', { to: each.userId, ...HELLO }).catch(() => undefined);
  }

  /** Reach everybody who is here with the microphone that is open; to be called when one of these changes. */
  follow(): void {
    const { isHere, myId, people } = this.#place();
    const track = this.#microphones.current?.track ?? null;
    const others = new Map(this.#others().map((each) => [each.userId, each]));
    if (!myId) return;
    if (!isHere) {
      void this.close();
      return;
    }
    if (this.isOn && people.some((each) => each.userId === myId && each.isMuted)) void this.stop();
    for (const [userId, peer] of this.#peers)
      if (!people.some((each) => each.userId === userId)) this.#drop(userId);
      else peer.silence(others.get(userId)?.isMuted ?? false);
    if (!this.isOn) return;
    for (const userId of others.keys()) if (!this.#peers.has(userId)) void this.#connect(userId);
    for (const peer of this.#peers.values()) peer.speak(track);
  }

  /** Open the microphone and be heard. */
  async start(): Promise<void> {
    if (this.isBusy || this.isOn) return;
    this.isBusy = true;
    try {
      await this.#microphones.take('voice');
      try {
        await this.#ask('room:voice-start', {});
      } catch (error) {
        await this.#microphones.give('voice');
        throw error;
      }
      this.isOn = true;
    } catch (error) {
      if (error instanceof DOMException) toasts.warn(text.rooms.voice.noMicrophone);
      else toasts.warn(sentence(session.heed(error)));
    } finally {
      this.isBusy = false;
    }
  }

  /** Be heard no more; the others are still heard. */
  async stop(): Promise<void> {
    if (!this.isOn) return;
    this.isOn = false;
    for (const peer of this.#peers.values()) peer.speak(null);
    await this.#microphones.give('voice');
    this.#ask('room:voice-stop', {}).catch(() => undefined);
  }

  /** Play what the browser held back; to be called in a gesture. */
  unblock(): void {
    this.isBlocked = false;
    for (const peer of this.#peers.values()) peer.play();
  }

  /** Leave the conversation altogether. */
  async close(): Promise<void> {
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.#hasSaidHello = false;
    for (const userId of [...this.#peers.keys()]) this.#drop(userId);
    this.isOn = false;
    this.#announced.clear();
    this.voices = new Set();
    this.talking = new Set();
    await this.#microphones.give('voice');
  }

  #others(): Participant[] {
    const { myId, people } = this.#place();
    return people.filter((each) => each.userId !== myId && each.isOnline);
  }

  async #take(from: string, said: Said): Promise<void> {
    const message = said.description ?? said.candidate;
    if (!message) return;
    const known = this.#peers.get(from);
    const isHello = (said.description?.type as string | undefined) === 'hello';
    // The other side has started over, so our connection is dead.
    if (known && (isHello || (known.otherId && known.otherId !== message.connection))) this.#drop(from);
    if (isHello) {
      this.follow();
      return;
    }
    const peer = await this.#connect(from);
    try {
      await peer?.take(said);
    } catch {
      this.#lose(from);
    }
  }

  async #connect(userId: string): Promise<Peer | undefined> {
    const { roomId, myId } = this.#place();
    if (!roomId || !myId) return undefined;
    this.#iceServers ??= this.#loadServers(roomId);
    const iceServers = await this.#iceServers;
    const known = this.#peers.get(userId);
    if (known) return known;
    const peer = new Peer({
      isPolite: myId < userId,
      iceServers,
      send: (said) => {
        this.#ask('room:signal', { to: userId, ...said }).catch(() => undefined);
      },
      onlost: () => {
        this.#lose(userId);
      },
      onblocked: () => {
        this.isBlocked = true;
      },
    });
    this.#peers.set(userId, peer);
    if (this.isOn) peer.speak(this.#microphones.current?.track ?? null);
    return peer;
  }

  async #loadServers(roomId: string): Promise<RTCIceServer[]> {
    try {
      const { ice_servers } = await call('get', '/api/rooms/{room_id}/voice', { path: { room_id: roomId } });
      return ice_servers.map(({ urls, username, credential }) => ({
        urls,
        ...(username ? { username } : {}),
        ...(credential ? { credential } : {}),
      }));
    } catch (error) {
      this.#iceServers = undefined;
      if (!(error instanceof ApiError)) throw error;
      return [];
    }
  }

  #drop(userId: string): void {
    this.#peers.get(userId)?.close();
    this.#peers.delete(userId);
  }

  /** Begin again after a while with somebody who cannot be reached. */
  #lose(userId: string): void {
    this.#drop(userId);
    setTimeout(() => {
      this.follow();
    }, AGAIN_MS);
  }

  #look(): void {
    const now = performance.now();
    const own = this.#microphones.current;
    const { myId } = this.#place();
    if (this.isOn && myId && own && !own.isMuted && own.level > OWN_LOUD) this.#heardAt.set(myId, now);
    // Who was speaking when we came is known by being heard alone.
    const voices = new Set(this.#announced);
    for (const [userId, peer] of this.#peers) {
      if (peer.level > LOUD) this.#heardAt.set(userId, now);
      if (peer.isAudible) voices.add(userId);
    }
    const talking = [...this.#heardAt].filter(([, at]) => now - at < HOLD_MS).map(([userId]) => userId);
    if (!isSame(voices, this.voices)) this.voices = voices;
    if (!isSame(new Set(talking), this.talking)) this.talking = new Set(talking);
  }
}

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((each) => other.has(each));
}
