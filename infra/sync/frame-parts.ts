import { crc32 } from 'node:zlib';
import { floatsOf } from '../../lib/sync/float-bytes.ts';
import { decodeFrame, encodeHeader } from '../../lib/sync/frames.ts';
import type { Frame, FrameHeader } from '../../lib/sync/frames.ts';
import type { ShardSeed } from '../../lib/sync/protocol.ts';

/** What travels as one multipart message: header and body, each sent from, and received into, its own memory. */
export type FrameParts = [header: Buffer, body: Buffer];

export const NO_BODY = new Uint8Array(0);

const UNUSED = {
  encoding: 'none',
  incarnation: 0,
  shard: 0,
  slice: 0,
  step: 0,
  version: 0,
  sequence: 0,
  numValues: 0,
  learningRate: 0,
  weight: 0,
} as const satisfies Omit<FrameHeader, 'type'>;

/** The body is not copied: whoever changes it before it has left makes a frame that the other end refuses. */
export function partsOf(header: Partial<FrameHeader> & Pick<FrameHeader, 'type'>, body: Uint8Array): FrameParts {
  return [asBuffer(encodeHeader({ ...UNUSED, ...header }, body, crc32)), asBuffer(body)];
}

/** @throws LookalikeError `invalidInput` | `corruptArtifact` */
export function frameOf(header: Buffer, body: Buffer): Frame {
  return decodeFrame(header, body, crc32);
}

/** A shard's state as one body: values, first moments, second moments. */
export function packState({ values, firstMoments, secondMoments }: ShardSeed): Uint8Array {
  const { length } = values;
  const packed = new Float32Array(3 * length);
  packed.set(values, 0);
  packed.set(firstMoments, length);
  packed.set(secondMoments, 2 * length);
  return asBuffer(packed);
}

/** Views of the body, where it is aligned. */
export function unpackState({ step, body }: Pick<Frame, 'step' | 'body'>): ShardSeed {
  const length = Math.floor(body.length / 12);
  const part = (i: number): Float32Array => floatsOf(body, 4 * i * length, length);
  return { step, values: part(0), firstMoments: part(1), secondMoments: part(2) };
}

/** The same memory, as ZeroMQ takes it. */
function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array | Float32Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
}
