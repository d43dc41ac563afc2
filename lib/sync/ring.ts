import { errorMessage, isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import { decodeHalves, encodeHalves } from './compression/fp16.ts';
import { decodePlain } from './compression/none.ts';
import { firstNonFinite } from './finite.ts';
import { bytesOf } from './float-bytes.ts';
import type { Range } from './optimizer.ts';
import { decodeMessage, encodeMessage, GOODBYE_HOP, MESSAGE_HEADER_BYTES, RingInbox } from './ring-inbox.ts';
import type { MessageKey } from './ring-inbox.ts';
import { bucketsOf, chunksOf, ringSchedule } from './ring-schedule.ts';
import type { Hop } from './ring-schedule.ts';

/** How a reason starts that has come from another rank, and is told on as it is. */
const TOLD = 'The ring ended';

/** A rank's connections: a message arrives whole, once, and in the order in which its sender sent it. */
export interface RingPeer {
  readonly rank: number;
  /** Ranks of the ring, at least 1. */
  readonly size: number;
  /** Resolves when there is room for more. Rejects when the other end is gone. */
  send(to: number, message: Uint8Array): Promise<void>;
  /** The next message from any rank. Rejects when the left neighbour is gone, or the connections were closed. */
  receive(): Promise<Uint8Array>;
}

export interface RingOptions {
  /** `fp16` halves the bytes: partial sums are rounded at each hop, and all ranks still end with the same values. */
  encoding: 'none' | 'fp16';
  /** Buckets travel independently of each other, so that one is summed while others are on their way. */
  bucketBytes: number;
}

/** Of what this rank sent: the values, and all with the messages' headers. */
export interface RingTraffic {
  valueBytes: number;
  sentBytes: number;
}

/**
 * One rank of a ring that sums vectors. Without compression each rank sends 2 (n - 1) / n of the vector (Patarasuk & Yuan 2009).
 *
 * Invariants: all ranks end an operation with the same bytes, whatever the timing, as each chunk is summed in float32 along one path;
 * the first failure, of this rank or told by a neighbour, ends every call, present and later, with the same error, and is told on.
 */
export class Ring {
  readonly #peer: RingPeer;
  readonly #options: RingOptions;
  readonly #schedule: Hop[];
  readonly #inbox = new RingInbox();
  readonly #traffic: RingTraffic = { valueBytes: 0, sentBytes: 0 };
  #operation = 0;
  #isBusy = false;
  #failure: Error | null = null;

  constructor(peer: RingPeer, options: RingOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#schedule = ringSchedule(peer.rank, peer.size);
    if (peer.size > 1) void this.#pump();
  }

  /**
   * Replaces `vector` by the sum of all ranks' vectors; every rank calls this the same number of times with the same length, one after
   * the other. After a failure the vector holds neither.
   * @param isReady awaited before a bucket is touched, so that the first ones travel while later gradients are still computed
   * @throws LookalikeError `nonFinite` for this rank's own values; `unavailable` when a peer failed or left; `cancelled`; `conflict`
   */
  async allReduce(
    vector: Float32Array,
    { isReady, signal }: { isReady?: (range: Range) => Promise<void>; signal?: AbortSignal } = {},
  ): Promise<void> {
    this.#expectAlive();
    if (this.#isBusy) throw new LookalikeError('conflict', 'Expected one all-reduce at a time of this rank.');
    this.#isBusy = true;
    const operation = this.#operation++;
    const onAbort = (): void => this.#fail(new LookalikeError('cancelled', 'The all-reduce was cancelled.'));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) onAbort();
      this.#expectAlive();
      await Promise.all(
        bucketsOf(vector.length, this.#options.bucketBytes).map(async (range, bucket) => {
          await isReady?.(range);
          await this.#reduceBucket(vector, range, { operation, bucket });
        }),
      );
      this.#expectAlive();
    } catch (error) {
      this.#fail(error);
      throw this.#failure as unknown;
    } finally {
      this.#isBusy = false;
      signal?.removeEventListener('abort', onAbort);
    }
  }

  traffic(): RingTraffic {
    return { ...this.#traffic };
  }

  /** After the last operation: tells nobody, for others may still be at theirs. To end the ring for all, abort an operation. */
  close(): void {
    this.#end(new LookalikeError('cancelled', 'This rank has left the ring.'));
  }

  #expectAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #reduceBucket(vector: Float32Array, range: Range, id: Omit<MessageKey, 'hop'>): Promise<void> {
    expectFinite(vector.subarray(range.start, range.end));
    const { rank, size } = this.#peer;
    const chunks = chunksOf(range, size).map(({ start, end }) => vector.subarray(start, end));
    /** A final chunk travels on as the bytes in which it came: encoding it again could round it again. */
    let final: Uint8Array | null = null;
    for (const [hop, { send, receive, adds }] of this.#schedule.entries()) {
      const isFirstFinal = !adds && final === null;
      const bytes: Uint8Array = final ?? this.#encode(chunks[send]!);
      if (isFirstFinal) chunks[send]!.set(this.#decode(bytes, chunks[send]!.length));
      this.#traffic.valueBytes += bytes.length;
      this.#traffic.sentBytes += bytes.length + MESSAGE_HEADER_BYTES;
      const sent = this.#peer.send((rank + 1) % size, encodeMessage({ ...id, hop }, bytes));
      // Sending does not hold up receiving, or a ring whose buffers are full would stand still.
      const [body] = await Promise.all([this.#inbox.take({ ...id, hop }), sent]);
      const own = chunks[receive]!;
      const received = this.#decode(body, own.length);
      if (adds) {
        for (let i = 0; i < own.length; i++) own[i] = received[i]! + own[i]!;
        expectFinite(own);
      } else {
        own.set(received);
        final = body;
      }
    }
  }

  #encode(values: Float32Array): Uint8Array {
    return this.#options.encoding === 'fp16' ? encodeHalves(values) : bytesOf(values);
  }

  /** @throws LookalikeError `invalidInput` when ranks disagree on the length or the options */
  #decode(bytes: Uint8Array, length: number): Float32Array {
    return this.#options.encoding === 'fp16' ? decodeHalves(bytes, length) : decodePlain(bytes, length);
  }

  /** Takes in what comes until the ring is over. */
  async #pump(): Promise<void> {
    try {
      while (this.#failure === null) {
        const { key, body } = decodeMessage(await this.#peer.receive());
        if (key.hop === GOODBYE_HOP) throw new LookalikeError('unavailable', new TextDecoder().decode(body));
        if (key.operation > this.#operation) {
          const message = `Expected messages of all-reduce ${this.#operation} at most, got one of ${key.operation}.`;
          throw new LookalikeError('conflict', message);
        }
        this.#inbox.put(key, body);
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends the ring, and tells both neighbours, for one of them may be the one that is gone. */
  #fail(cause: unknown): void {
    const { rank, size } = this.#peer;
    const error = isLookalikeError(cause)
      ? cause
      : new LookalikeError('unavailable', `Rank ${rank} lost its ring: ${errorMessage(cause)}`, {}, { cause });
    if (!this.#end(error)) return;
    const isTold = error.message.startsWith(TOLD);
    const reason = isTold ? error.message : `${TOLD} at rank ${rank}: ${error.message}`;
    const goodbye = encodeMessage({ operation: 0, bucket: 0, hop: GOODBYE_HOP }, new TextEncoder().encode(reason));
    for (const to of new Set([(rank + 1) % size, (rank + size - 1) % size])) {
      if (to !== rank) this.#peer.send(to, goodbye).catch(() => undefined);
    }
  }

  /** @returns whether it was not over yet */
  #end(error: LookalikeError): boolean {
    if (this.#failure !== null) return false;
    this.#failure = error;
    this.#inbox.fail(error);
    return true;
  }
}

function expectFinite(values: Float32Array): void {
  const at = firstNonFinite(values);
  if (at === -1) return;
  throw new LookalikeError('nonFinite', `Expected finite values to sum, got ${values[at]}. Lower the learning rate.`);
}
