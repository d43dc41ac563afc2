import { Push } from 'zeromq';
import { LookalikeError } from '../../contracts/errors.ts';
import type { RunKeys } from './curve-keys.ts';
import type { FrameParts } from './frame-parts.ts';
import { readUrl } from './shard-address.ts';
import { TCP_OPTIONS } from './socket-options.ts';

/** Messages that wait for a neighbour which does not read; more of them wait at the sender. */
const SEND_QUEUE = 16;

export interface RingLinkOptions {
  /** The neighbour that it leads to. */
  rank: number;
  keys: RunKeys;
  /** Its connection broke, or could not be made. */
  onLost: () => void;
}

/**
 * The way to one neighbour; what comes from it has a way of its own. Invariant: frames leave in the order in which they were sent, over
 * one connection at a time, and none is kept for the next one.
 */
export class RingLink {
  readonly #options: RingLinkOptions;
  #socket: Push | null = null;
  #announced = '';
  #last: Promise<void> = Promise.resolve();
  #numPending = 0;
  #numForeign = 0;

  constructor(options: RingLinkOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#socket !== null;
  }

  /** So many looks in a row have found a neighbour that surely has another secret. */
  get numForeign(): number {
    return this.#numForeign;
  }

  /** Leads to where the neighbour is announced now, if it does not yet. */
  point(announced: string | undefined): void {
    if (announced === undefined || (announced === this.#announced && this.#socket !== null)) return;
    const { server, client } = this.#options.keys;
    const { url, isForeign } = readUrl(announced, server);
    this.#drop();
    this.#announced = announced;
    this.#numForeign = isForeign ? this.#numForeign + 1 : 0;
    if (isForeign) return;
    const socket = new Push({
      ...TCP_OPTIONS,
      ipv6: url.includes('['),
      sendHighWaterMark: SEND_QUEUE,
      curveServerKey: server.publicKey,
      curvePublicKey: client.publicKey,
      curveSecretKey: client.secretKey,
    });
    this.#socket = socket;
    for (const event of ['disconnect', 'connect:retry', 'handshake:error:protocol', 'handshake:error:auth'] as const) {
      socket.events.on(event, () => this.#lose(socket));
    }
    try {
      socket.connect(url);
    } catch {
      this.#lose(socket);
    }
  }

  /** Resolves once there is room for it on its way. @throws LookalikeError `unavailable` while there is no connection, or when it breaks */
  async send(parts: FrameParts): Promise<void> {
    const socket = this.#socket;
    const through = async (): Promise<void> => {
      if (socket === null || this.#socket !== socket) throw this.#gone();
      await socket.send(parts);
    };
    // At once where nothing waits: it is encrypted and sent by a thread of its own, while the next one is made here.
    const sent = this.#numPending++ === 0 ? through() : this.#last.then(through);
    this.#last = sent.then(
      () => void this.#numPending--,
      () => void this.#numPending--,
    );
    try {
      await sent;
    } catch (error) {
      throw error instanceof LookalikeError ? error : this.#gone(error);
    }
  }

  close(): void {
    this.#drop();
  }

  #lose(socket: Push): void {
    if (this.#socket !== socket) return;
    this.#drop();
    this.#options.onLost();
  }

  #drop(): void {
    this.#socket?.close();
    this.#socket = null;
  }

  #gone(cause?: unknown): LookalikeError {
    const { rank } = this.#options;
    return new LookalikeError('unavailable', `Rank ${rank} of the ring is not connected.`, { rank }, { cause });
  }
}
