import { LookalikeError } from '../../contracts/errors.ts';

/** Which message of the ring: `operation` counts all-reduces. Whole numbers of 32 bits. */
export interface MessageKey {
  operation: number;
  bucket: number;
  hop: number;
}

/** Four words before the values of a chunk, so that these are aligned. */
export const MESSAGE_HEADER_BYTES = 16;
/** Instead of a chunk: the ring is over, and the body says why. */
export const GOODBYE_HOP = 0xffff_ffff;

export function encodeMessage({ operation, bucket, hop }: MessageKey, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(MESSAGE_HEADER_BYTES + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, operation, true);
  view.setUint32(4, bucket, true);
  view.setUint32(8, hop, true);
  bytes.set(body, MESSAGE_HEADER_BYTES);
  return bytes;
}

/** @throws LookalikeError `invalidInput` for bytes too short to be a message */
export function decodeMessage(bytes: Uint8Array): { key: MessageKey; body: Uint8Array } {
  if (bytes.length < MESSAGE_HEADER_BYTES) {
    throw new LookalikeError(
      'invalidInput',
      `Expected a message of the ring of at least ${MESSAGE_HEADER_BYTES} bytes, got ${bytes.length}.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, MESSAGE_HEADER_BYTES);
  const key = { operation: view.getUint32(0, true), bucket: view.getUint32(4, true), hop: view.getUint32(8, true) };
  return { key, body: bytes.subarray(MESSAGE_HEADER_BYTES) };
}

/**
 * Messages of the left neighbour that came before they were asked for, and those who ask before they come. Invariant: a message is
 * handed out once. The neighbour is at most one operation ahead, for the one after that needs this rank's own part.
 */
export class RingInbox {
  readonly #early = new Map<string, Uint8Array>();
  readonly #waiting = new Map<string, { resolve: (body: Uint8Array) => void; reject: (error: Error) => void }>();
  #failure: Error | null = null;

  take(key: MessageKey): Promise<Uint8Array> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const name = nameOf(key);
    const body = this.#early.get(name);
    this.#early.delete(name);
    if (body !== undefined) return Promise.resolve(body);
    return new Promise((resolve, reject) => this.#waiting.set(name, { resolve, reject }));
  }

  /** @throws LookalikeError `conflict` for a message that came before */
  put(key: MessageKey, body: Uint8Array): void {
    const name = nameOf(key);
    const waiter = this.#waiting.get(name);
    this.#waiting.delete(name);
    if (waiter !== undefined) {
      waiter.resolve(body);
      return;
    }
    if (this.#early.has(name)) {
      throw new LookalikeError('conflict', `Expected message ${name} of the ring once, got it twice.`);
    }
    this.#early.set(name, body);
  }

  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(this.#failure);
    this.#waiting.clear();
    this.#early.clear();
  }
}

function nameOf({ operation, bucket, hop }: MessageKey): string {
  return `${operation}/${bucket}/${hop}`;
}
