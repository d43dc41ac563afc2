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
  /** The next message from any rank. Rejects when a neighbour is gone, or the connections were closed. */
  receive(): Promise<Uint8Array>;
  /** What it adds to each message on the wire. */
  readonly overheadBytes: number;
  /** Ends receiving, and sending what is not on its way yet. */
  close(): void;
}

/** A vector that is summed over the ranks, in place. */
export interface RingPart {
  values: Float32Array;
  /** `fp16` halves the bytes: partial sums are rounded at each hop, and all ranks still end with the same values. */
  encoding: 'none' | 'fp16';
}

export interface RingTraffic {
  /** Values that this rank sent. */
  valueBytes: number;
  /** All that this rank sent and received, with the headers of messages and of what carries them. */
  sentBytes: number;
  receivedBytes: number;
}

/**
 * One rank of a ring that sums vectors. Without compression each rank sends 2 (n - 1) / n of the vector (Patarasuk & Yuan 2009).
 *
 * Invariants: all ranks end an operation with the same bytes, whatever the timing, as each chunk is summed in float32 along one path;
 * the first failure, of this rank or told by a neighbour, ends every call, present and later, with the same error, and is told on.
 */
export class Ring {
  readonly #peer: RingPeer;
  readonly #bucketBytes: number;
  readonly #schedule: Hop[];
  readonly #inbox = new RingInbox();
  readonly #traffic: RingTraffic = { valueBytes: 0, sentBytes: 0, receivedBytes: 0 };
  #operation = 0;
  #isBusy = false;
  #failure: Error | null = null;

  /** @param bucketBytes of float32: buckets travel apart. The peer is the ring's from now on, which closes it. */
  constructor(peer: RingPeer, bucketBytes: number) {
    this.#peer = peer;
    this.#bucketBytes = bucketBytes;
    this.#schedule = ringSchedule(peer.rank, peer.size);
    if (peer.size > 1) void this.#pump();
  }

  /**
   * Replaces the values of each part by the sum over all ranks; every rank calls this the same number of times with parts of the same
   * lengths and encodings, one call after the other. After a failure the parts hold neither.
   * Buckets go their rounds side by side: while one is on its way, others are encoded, added and sent on.
   * @throws LookalikeError `nonFinite` for values or sums; `unavailable` when a peer failed or left; `cancelled`; `conflict`
   */
  async allReduce(parts: readonly RingPart[], signal?: AbortSignal): Promise<void> {
    this.expectAlive();
    if (this.#isBusy) throw new LookalikeError('conflict', 'Expected one all-reduce at a time of this rank.');
    this.#isBusy = true;
    const operation = this.#operation++;
    const onAbort = (): void => this.#fail(new LookalikeError('cancelled', 'The all-reduce was cancelled.'));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) onAbort();
      this.expectAlive();
      const buckets = parts.flatMap(({ values }, part) =>
        bucketsOf(values.length, this.#bucketBytes).map((range) => ({ part, range })),
      );
      await Promise.all(
        buckets.map(({ part, range }, bucket) => this.#reduceBucket(parts[part]!, range, { operation, bucket })),
      );
      this.expectAlive();
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

  /** Ends the ring for every rank with this error; the others are told that it was this rank's. */
  abort(error: LookalikeError): void {
    this.#fail(error);
  }

  /** After the last operation, or a failure: tells nobody, for others may still be at theirs, or know already. */
  close(): void {
    this.#end(new LookalikeError('cancelled', 'This rank has left the ring.'));
    this.#peer.close();
  }

  /** @throws LookalikeError what ended the ring */
  expectAlive(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #reduceBucket({ values, encoding }: RingPart, range: Range, id: Omit<MessageKey, 'hop'>): Promise<void> {
    expectFinite(values.subarray(range.start, range.end));
    const { rank, size } = this.#peer;
    const chunks = chunksOf(range, size).map(({ start, end }) => values.subarray(start, end));
    /** A final chunk travels on as the bytes in which it came: encoding it again could round it again. */
    let final: Uint8Array | null = null;
    for (const [hop, { send, receive, adds }] of this.#schedule.entries()) {
      const isFirstFinal = !adds && final === null;
      const bytes: Uint8Array = final ?? encode(encoding, chunks[send]!);
      if (isFirstFinal) chunks[send]!.set(decode(encoding, bytes, chunks[send]!.length));
      this.#traffic.valueBytes += bytes.length;
      this.#traffic.sentBytes += bytes.length + MESSAGE_HEADER_BYTES + this.#peer.overheadBytes;
      const sent = this.#peer.send((rank + 1) % size, encodeMessage({ ...id, hop }, bytes));
      // Sending does not hold up receiving, or a ring whose buffers are full would stand still.
      const [body] = await Promise.all([this.#inbox.take({ ...id, hop }), sent]);
      const own = chunks[receive]!;
      const received = decode(encoding, body, own.length);
      if (adds) {
        for (let i = 0; i < own.length; i++) own[i] = received[i]! + own[i]!;
        expectFinite(own);
      } else {
        own.set(received);
        final = body;
      }
    }
  }

  /** Takes in what comes until the ring is over. */
  async #pump(): Promise<void> {
    try {
      while (this.#failure === null) {
        const message = await this.#peer.receive();
        this.#traffic.receivedBytes += message.length + this.#peer.overheadBytes;
        const { key, body } = decodeMessage(message);
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

function encode(encoding: RingPart['encoding'], values: Float32Array): Uint8Array {
  return encoding === 'fp16' ? encodeHalves(values) : bytesOf(values);
}

/** @throws LookalikeError `invalidInput` when ranks disagree on lengths or encodings */
function decode(encoding: RingPart['encoding'], bytes: Uint8Array, length: number): Float32Array {
  return encoding === 'fp16' ? decodeHalves(bytes, length) : decodePlain(bytes, length);
}

function expectFinite(values: Float32Array): void {
  const at = firstNonFinite(values);
  if (at === -1) return;
  throw new LookalikeError('nonFinite', `Expected finite values to sum, got ${values[at]}. Lower the learning rate.`);
}
