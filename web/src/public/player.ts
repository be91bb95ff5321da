/** The drawn player of a shared clip. The server writes its controls hidden; this shows them in place of the browser's. */
import { part } from './part';

const STEP_S = 5;
const IDLE_MS = 2500;
/** A failure this close to the one before is the same: loading again did not help. */
const NEAR_S = 1;

/** iPhones have full screen for the video alone. */
interface AppleVideo extends HTMLMediaElement {
  webkitEnterFullscreen?: () => void;
}

export class Player {
  readonly #box: HTMLElement;
  readonly #media: AppleVideo;
  readonly #seek: HTMLInputElement;
  readonly #play: HTMLButtonElement;
  readonly #mute: HTMLButtonElement;
  readonly #full: HTMLButtonElement | null;
  readonly #time: HTMLElement;
  readonly #fault: HTMLElement;
  /** Where to go on once the media are there again. */
  #resume: { at: number; plays: boolean } | undefined;
  #failedAt = -Infinity;
  #idleTimer = 0;
  #isWaking = false;

  constructor(box: HTMLElement) {
    this.#box = box;
    this.#media = part<HTMLMediaElement>(box, 'video, audio');
    this.#seek = part<HTMLInputElement>(box, '.seek');
    this.#play = part<HTMLButtonElement>(box, '.play');
    this.#mute = part<HTMLButtonElement>(box, '.mute');
    this.#full = box.querySelector<HTMLButtonElement>('.full');
    this.#time = part(box, '.time');
    this.#fault = part(box, '.fault');
    this.#followMedia();
    this.#followReader();
    this.#media.controls = false;
    part(box, '.bar').hidden = false;
    part(box, '.big').hidden = false;
    if (this.#full) this.#full.hidden = !document.fullscreenEnabled && !this.#media.webkitEnterFullscreen;
    box.classList.add('live');
    this.#show();
    // It may have failed before this ran.
    if (this.#media.error || this.#media.networkState === HTMLMediaElement.NETWORK_NO_SOURCE)
      void this.#recover();
  }

  toggle(): void {
    if (!this.#media.paused) this.#media.pause();
    else if (this.#fault.hidden) void this.#start();
    else if (!this.#play.disabled) this.#load(true);
  }

  toggleSound(): void {
    this.#media.muted = !this.#media.muted;
  }

  toggleFullScreen(): void {
    if (!this.#full || this.#full.hidden) return;
    if (document.fullscreenElement) void document.exitFullscreen();
    else if (document.fullscreenEnabled) this.#box.requestFullscreen().catch(() => undefined);
    else this.#media.webkitEnterFullscreen?.();
  }

  seek(seconds: number): void {
    const at = Math.min(Math.max(0, seconds), this.#length);
    if (this.#resume) this.#resume.at = at;
    else this.#media.currentTime = at;
    this.#show();
  }

  get #length(): number {
    const { duration } = this.#media;
    return Number.isFinite(duration) ? duration : Number(this.#seek.max);
  }

  get #at(): number {
    return this.#resume?.at ?? this.#media.currentTime;
  }

  #followMedia(): void {
    const on = (names: string, handle: () => void): void => {
      for (const name of names.split(' ')) this.#media.addEventListener(name, handle);
    };
    on('play pause ended', () => {
      this.#showState();
    });
    on('play', () => {
      this.#follow();
    });
    on('timeupdate durationchange seeking', () => {
      this.#show();
    });
    on('volumechange', () => {
      turn(this.#mute, this.#media.muted);
    });
    on('waiting', () => {
      this.#box.classList.add('waiting');
    });
    on('playing canplay seeked pause emptied', () => {
      this.#box.classList.remove('waiting');
    });
    on('loadedmetadata', () => {
      this.#goOn();
    });
    // Errors of sources do not bubble. The last source's is the media's.
    this.#media.addEventListener(
      'error',
      ({ target }) => {
        if (!(target instanceof HTMLSourceElement && target.nextElementSibling)) void this.#recover();
      },
      true,
    );
  }

  #followReader(): void {
    part(this.#box, '.big').addEventListener('click', () => {
      this.toggle();
      // This button goes while the clip plays, and the keys need the focus in the player.
      this.#box.focus({ preventScroll: true });
    });
    this.#play.addEventListener('click', () => {
      this.toggle();
    });
    this.#mute.addEventListener('click', () => {
      this.toggleSound();
    });
    this.#full?.addEventListener('click', () => {
      this.toggleFullScreen();
    });
    this.#media.addEventListener('click', () => {
      // The tap that brings the controls back does not stop the clip.
      if (!this.#isWaking) this.toggle();
    });
    this.#seek.addEventListener('input', () => {
      this.seek(this.#seek.valueAsNumber);
    });
    this.#box.addEventListener('pointerdown', ({ pointerType }) => {
      this.#isWaking = pointerType === 'touch' && this.#box.classList.contains('idle');
      this.#wake();
    });
    this.#box.addEventListener('pointermove', () => {
      this.#wake();
    });
    document.addEventListener('keydown', (event) => {
      this.#onKey(event);
    });
    document.addEventListener('fullscreenchange', () => {
      if (this.#full) turn(this.#full, document.fullscreenElement === this.#box);
    });
  }

  async #start(): Promise<void> {
    try {
      await this.#media.play();
    } catch {
      // Stopped at once, or failed: an event of the media says which.
    }
  }

  /** Move the slider with each picture while the clip plays; `timeupdate` comes four times a second. */
  #follow(): void {
    if (this.#media.paused) return;
    this.#show();
    requestAnimationFrame(() => {
      this.#follow();
    });
  }

  #show(): void {
    const [at, length] = [this.#at, this.#length];
    this.#seek.max = String(length);
    this.#seek.value = String(at);
    this.#seek.style.setProperty('--at', String(length > 0 ? at / length : 0));
    const [now, whole] = [clock(at), clock(length)];
    const said = (this.#seek.dataset['words'] ?? '').replace('{at}', now).replace('{length}', whole);
    if (this.#seek.ariaValueText !== said) this.#seek.ariaValueText = said;
    const shown = `${now} / ${whole}`;
    if (this.#time.textContent !== shown) this.#time.textContent = shown;
  }

  #showState(): void {
    const plays = !this.#media.paused && !this.#media.ended;
    this.#box.classList.toggle('playing', plays);
    turn(this.#play, plays);
    this.#wake();
  }

  /** Show the controls, and hide them after a while of playing with nothing touched. */
  #wake(): void {
    this.#box.classList.remove('idle');
    clearTimeout(this.#idleTimer);
    if (!this.#media.paused)
      this.#idleTimer = window.setTimeout(() => this.#box.classList.add('idle'), IDLE_MS);
  }

  /** Keys work in the player; Space and arrows also while nothing on the page is picked. Letters do not: WCAG 2.1.4. */
  #onKey(event: KeyboardEvent): void {
    const { key, target } = event;
    const isInside = target instanceof Element && this.#box.contains(target);
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (!isInside && target !== document.body) return;
    const act = this.#actionOf(key, target, isInside);
    if (!act) return;
    event.preventDefault();
    if (!isInside) this.#box.focus({ preventScroll: true });
    this.#wake();
    if (!event.repeat || key.startsWith('Arrow')) act();
  }

  #actionOf(key: string, target: EventTarget, isInside: boolean): (() => void) | undefined {
    const isOnSlider = target === this.#seek;
    const move = (seconds: number) => (): void => {
      this.seek(this.#at + seconds);
    };
    if (key === 'ArrowRight' || (key === 'ArrowUp' && isOnSlider)) return move(STEP_S);
    if (key === 'ArrowLeft' || (key === 'ArrowDown' && isOnSlider)) return move(-STEP_S);
    // A button is pressed by Space already.
    if (key === ' ' && !(target instanceof HTMLButtonElement)) return this.toggle.bind(this);
    if (key === 'm' && isInside) return this.toggleSound.bind(this);
    if (key === 'f' && isInside) return this.toggleFullScreen.bind(this);
    return undefined;
  }

  /** After a failure: load once more, as signed addresses expire while a page is open; then say what is wrong. */
  async #recover(): Promise<void> {
    this.#resume ??= { at: this.#media.currentTime, plays: !this.#media.paused };
    const { at, plays } = this.#resume;
    const state = await stateOf(this.#media.currentSrc);
    if (state === 'open' && Math.abs(at - this.#failedAt) > NEAR_S) {
      this.#failedAt = at;
      this.#load(plays);
      return;
    }
    const hasEnded = state === 'ended';
    this.#media.pause();
    this.#box.classList.add('failed');
    this.#box.classList.remove('waiting');
    this.#fault.textContent = this.#box.dataset[hasEnded ? 'ended' : 'failed'] ?? '';
    this.#fault.hidden = false;
    for (const each of [this.#play, this.#mute, this.#full, this.#seek]) if (each) each.disabled = hasEnded;
  }

  #load(plays: boolean): void {
    this.#resume = { at: this.#at, plays };
    if (!this.#fault.hidden) this.#failedAt = -Infinity;
    this.#fault.hidden = true;
    this.#box.classList.remove('failed');
    this.#media.load();
    if (plays) void this.#start();
  }

  #goOn(): void {
    if (!this.#resume) return;
    this.#media.currentTime = this.#resume.at;
    this.#resume = undefined;
  }
}

/** Whether a clip's address still leads to its file. The answer is the redirect itself, which is not followed. */
async function stateOf(address: string): Promise<'open' | 'ended' | 'unreachable'> {
  try {
    const answer = await fetch(address, { redirect: 'manual', cache: 'no-store' });
    return answer.status === 404 ? 'ended' : 'open';
  } catch {
    return 'unreachable';
  }
}

function turn(button: HTMLButtonElement, isOn: boolean): void {
  const label = button.dataset[isOn ? 'on' : 'off'] ?? '';
  button.classList.toggle('on', isOn);
  button.ariaLabel = label;
  button.title = label;
}

function clock(seconds: number): string {
  const whole = Math.floor(seconds);
  return `${String(Math.floor(whole / 60))}:${String(whole % 60).padStart(2, '0')}`;
}
