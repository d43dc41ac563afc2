import { LookalikeError } from '../../contracts/errors.ts';
import { HEADER_BYTES } from '../../lib/sync/frames.ts';
import type { RingPeer } from '../../lib/sync/ring.ts';

export interface RingSessionOptions {
  rank: number;
  size: number;
  /** Hands a message over; resolves once it is on its way. */
  deliver: (to: number, sequence: number, message: Uint8Array) => Promise<void>;
}

/**
 * One rank's part of one ring, from its first message to its last. Invariant: messages of a neighbour are handed out in the order of
 * their numbers, each once; a repeated one is left out, and one that is missing ends it.
 */
export class RingSession implements RingPeer {
  readonly rank: number;
  readonly size: number;
  readonly overheadBytes = HEADER_BYTES;
  readonly #options: RingSessionOptions;
  readonly #messages: Uint8Array[] = [];
  readonly #numSent = new Map<number, number>();
  readonly #numReceived = new Map<number, number>();
  #waiting: PromiseWithResolvers<Uint8Array> | null = null;
  #lost: LookalikeError | null = null;
  #isClosed = false;

  constructor(options: RingSessionOptions) {
    this.rank = options.rank;
    this.size = options.size;
    this.#options = options;
  }

  /** Also after a loss: the others are to hear of it. */
  async send(to: number, message: Uint8Array): Promise<void> {
    if (this.#isClosed) throw new LookalikeError('cancelled', 'This rank has left the ring.');
    const sequence = this.#numSent.get(to) ?? 0;
    this.#numSent.set(to, sequence + 1);
    await this.#options.deliver(to, sequence, message);
  }

  async receive(): Promise<Uint8Array> {
    const message = this.#messages.shift();
    if (message !== undefined) return message;
    if (this.#lost !== null) throw this.#lost;
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  /** Takes in what has come from a neighbour. */
  put(from: number, sequence: number, message: Uint8Array): void {
    if (this.#lost !== null) return;
    const next = this.#numReceived.get(from) ?? 0;
    if (sequence < next) return;
    if (sequence > next) {
      const why = `Expected message ${next} of rank ${from}, got ${sequence}: what is between them was lost on the way.`;
      return this.lose(new LookalikeError('unavailable', why));
    }
    this.#numReceived.set(from, next + 1);
    if (this.#waiting === null) this.#messages.push(message);
    else this.#waiting.resolve(message);
    this.#waiting = null;
  }

  /** Nothing more will come. What has come is still handed out. */
  lose(error: LookalikeError): void {
    this.#lost ??= error;
    this.#waiting?.reject(this.#lost);
    this.#waiting = null;
  }

  close(): void {
    this.#isClosed = true;
    this.lose(new LookalikeError('cancelled', 'This rank has left the ring.'));
  }
}
