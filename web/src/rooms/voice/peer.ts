/** The connection to one other person: their voice comes in, ours goes out. Either side may begin (perfect negotiation). */

/** What `room:signal` carries: a description or candidate of WebRTC, and between which connections it goes. */
export interface Said {
  description?: RTCSessionDescriptionInit & Ends;
  candidate?: RTCIceCandidateInit & Ends;
}
interface Ends {
  /** The sender's connection. */
  connection: string;
  /** The receiver's connection, once it is known. */
  peer?: string;
}

interface Options {
  /** Gives way when both sides make an offer at once. */
  isPolite: boolean;
  iceServers: RTCIceServer[];
  send: (said: Said) => void;
  onlost: () => void;
  /** The browser wants a gesture before it lets the person be heard. */
  onblocked: () => void;
}

export class Peer {
  readonly id = crypto.randomUUID();
  /** The other side's connection. */
  otherId: string | undefined;
  readonly #options: Options;
  readonly #connection: RTCPeerConnection;
  readonly #audio = new Audio();
  #sender: RTCRtpSender | undefined;
  #isOffering = false;
  #isIgnoring = false;

  constructor(options: Options) {
    this.#options = options;
    this.#connection = new RTCPeerConnection({ iceServers: options.iceServers });
    this.#connection.onnegotiationneeded = () => void this.#offer();
    this.#connection.onicecandidate = ({ candidate }) => {
      if (candidate) options.send({ candidate: { ...candidate.toJSON(), ...this.#ends } });
    };
    this.#connection.ontrack = ({ track }) => {
      this.#audio.srcObject = new MediaStream([track]);
      this.play();
    };
    this.#connection.onconnectionstatechange = () => {
      if (this.#connection.connectionState === 'failed') options.onlost();
    };
  }

  /** How loud the other one is, from 0 to 1. */
  get level(): number {
    const [receiver] = this.#connection.getReceivers();
    return receiver?.getSynchronizationSources()[0]?.audioLevel ?? 0;
  }

  get isAudible(): boolean {
    return this.#connection.getTransceivers().some((each) => each.currentDirection?.includes('recv'));
  }

  /** Send the sound of a microphone, or none. */
  speak(track: MediaStreamTrack | null): void {
    if (this.#sender?.track === track || (!this.#sender && !track)) return;
    if (this.#sender && track) void this.#sender.replaceTrack(track);
    else if (track) this.#sender = this.#connection.addTrack(track);
    else if (this.#sender) {
      this.#connection.removeTrack(this.#sender);
      this.#sender = undefined;
    }
  }

  silence(isSilent: boolean): void {
    this.#audio.muted = isSilent;
  }

  play(): void {
    this.#audio.play().catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'NotAllowedError') this.#options.onblocked();
    });
  }

  /** Take in what the other side said; what was meant for an earlier connection is left out. */
  async take({ description, candidate }: Said): Promise<void> {
    const said = description ?? candidate;
    if (said?.peer && said.peer !== this.id) return;
    this.otherId ??= said?.connection;
    if (description) await this.#describe(description);
    else if (candidate) {
      try {
        await this.#connection.addIceCandidate(candidate);
      } catch (error) {
        if (!this.#isIgnoring) throw error;
      }
    }
  }

  close(): void {
    this.#connection.onconnectionstatechange = null;
    this.#connection.close();
    this.#audio.srcObject = null;
  }

  get #ends(): Ends {
    return { connection: this.id, ...(this.otherId ? { peer: this.otherId } : {}) };
  }

  async #offer(): Promise<void> {
    this.#isOffering = true;
    try {
      await this.#connection.setLocalDescription();
      this.#sendDescription();
    } finally {
      this.#isOffering = false;
    }
  }

  async #describe(description: RTCSessionDescriptionInit): Promise<void> {
    const isCollision =
      description.type === 'offer' && (this.#isOffering || this.#connection.signalingState !== 'stable');
    this.#isIgnoring = isCollision && !this.#options.isPolite;
    if (this.#isIgnoring) return;
    await this.#connection.setRemoteDescription(description);
    if (description.type !== 'offer') return;
    await this.#connection.setLocalDescription();
    this.#sendDescription();
  }

  #sendDescription(): void {
    const local = this.#connection.localDescription;
    if (local) this.#options.send({ description: { type: local.type, sdp: local.sdp, ...this.#ends } });
  }
}
