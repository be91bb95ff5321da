/** The page's microphone, open for as long as the recording or the voice needs it; and which device it is. */
import { toasts } from '../../app/toasts.svelte';
import { text } from '../../text';
import { Microphone } from './microphone.svelte';

export type Use = 'recording' | 'voice';

export class Microphones {
  current = $state.raw<Microphone>();
  devices = $state.raw<readonly MediaDeviceInfo[]>([]);

  readonly #uses = new Set<Use>();
  #opening: Promise<Microphone> | undefined;
  #chosenId = '';

  /** Open the microphone, or share the open one; DOMException when the browser refuses. */
  async take(use: Use): Promise<Microphone> {
    this.#uses.add(use);
    try {
      if (this.current) return this.current;
      this.#opening ??= this.#open();
      return await this.#opening;
    } catch (error) {
      this.#uses.delete(use);
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  /** Close the microphone unless it has another use. */
  async give(use: Use): Promise<void> {
    if (!this.#uses.delete(use) || this.#uses.size > 0) return;
    const closing = this.current;
    this.current = undefined;
    await closing?.close();
  }

  /** Go on with another device; the old one stays where the browser refuses. */
  async choose(deviceId: string): Promise<void> {
    this.#chosenId = deviceId;
    const before = this.current;
    try {
      await this.#open(before?.isMuted);
      await before?.close();
    } catch {
      toasts.warn(text.rooms.voice.noDevice);
    }
  }

  async #open(isMuted = false): Promise<Microphone> {
    const opened = await Microphone.open(this.#chosenId);
    if (this.#uses.size === 0) {
      await opened.close();
      throw new DOMException('it is no longer needed', 'AbortError');
    }
    opened.mute(isMuted);
    opened.onlost = () => void this.#replace(opened);
    this.current = opened;
    this.devices = (await navigator.mediaDevices.enumerateDevices()).filter(
      (each) => each.kind === 'audioinput',
    );
    return opened;
  }

  /** Take whatever microphone is left in place of one that is gone. */
  async #replace(lost: Microphone): Promise<void> {
    if (this.current !== lost) return;
    this.#chosenId = '';
    try {
      await this.#open(lost.isMuted);
      toasts.warn(text.rooms.voice.replaced);
    } catch {
      this.current = undefined;
      toasts.warn(text.rooms.voice.lost);
    }
    await lost.close();
  }
}
