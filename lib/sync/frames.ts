import { LookalikeError } from '../../contracts/errors.ts';
import { ENCODINGS } from './protocol.ts';
import type { Encoding } from './protocol.ts';

/**
 * What a frame asks or answers. Requests: `pull` (answered by `values`), `push` (by one of the outcomes), `snapshot` (by `state`),
 * `seed` (by `seeded`), `status` (by `statistics`); any of them by `error`. Between ranks of a ring: `hello`, `chunk`. Appended to
 * only: the position is what travels.
 */
export const FRAME_TYPES = [
  'pull',
  'push',
  'snapshot',
  'seed',
  'status',
  'values',
  'accepted',
  'duplicate',
  'dropped',
  'state',
  'seeded',
  'statistics',
  'error',
  'hello',
  'chunk',
] as const;
export type FrameType = (typeof FRAME_TYPES)[number];

/** Every field is there in every frame; what a type does not use is 0. Whole numbers of 32 bits unless said otherwise. */
export interface FrameHeader {
  type: FrameType;
  encoding: Encoding;
  incarnation: number;
  /** 16 bits. */
  shard: number;
  /** 16 bits. */
  slice: number;
  step: number;
  version: number;
  /** Of a request, repeated in its answer. */
  sequence: number;
  /** Parameters that the body speaks of, whatever their encoding. */
  numValues: number;
  /** A double. */
  learningRate: number;
  /** A double. */
  weight: number;
}

export interface Frame extends FrameHeader {
  body: Uint8Array;
}

/** CRC-32 (ISO 3309), as of node:zlib. */
export type Crc32 = (bytes: Uint8Array) => number;

/** Of the header, so that a body that follows it in one buffer is aligned for any number. */
export const HEADER_BYTES = 64;
/** Larger bodies are refused before anything is done with them. */
const MAX_BODY_BYTES = 2 ** 30;
const MAGIC = 0x5953_4b4c; // "LKSY" in the order of the bytes
const FORMAT = 1;
const CHECKED_BYTES = HEADER_BYTES - 4;

/**
 * The header of a frame with this body; the body travels behind it as it is. Little-endian, offset in bytes: magic 0, format 4,
 * type 5, encoding 6, zero 7, incarnation 8, shard 12, slice 14, step 16, version 20, sequence 24, numValues 28, learningRate 32,
 * weight 40, body length 48, CRC-32 of the body 52, zero 56, CRC-32 of the header up to there 60.
 */
export function encodeHeader(header: FrameHeader, body: Uint8Array, crc32: Crc32): Uint8Array {
  expectFits(header, body);
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint8(4, FORMAT);
  view.setUint8(5, FRAME_TYPES.indexOf(header.type));
  view.setUint8(6, ENCODINGS.indexOf(header.encoding));
  view.setUint32(8, header.incarnation, true);
  view.setUint16(12, header.shard, true);
  view.setUint16(14, header.slice, true);
  view.setUint32(16, header.step, true);
  view.setUint32(20, header.version, true);
  view.setUint32(24, header.sequence, true);
  view.setUint32(28, header.numValues, true);
  view.setFloat64(32, header.learningRate, true);
  view.setFloat64(40, header.weight, true);
  view.setUint32(48, body.length, true);
  view.setUint32(52, crc32(body), true);
  view.setUint32(CHECKED_BYTES, crc32(bytes.subarray(0, CHECKED_BYTES)), true);
  return bytes;
}

/**
 * The frame that these two parts are; the body is not copied.
 * @throws LookalikeError `invalidInput` for bytes that are no such frame, `corruptArtifact` for a frame that was damaged on its way
 */
export function decodeFrame(header: Uint8Array, body: Uint8Array, crc32: Crc32): Frame {
  if (header.length !== HEADER_BYTES) throw malformed(`a header of ${HEADER_BYTES} bytes`, `${header.length}`);
  const view = new DataView(header.buffer, header.byteOffset, HEADER_BYTES);
  const magic = view.getUint32(0, true);
  if (magic !== MAGIC) throw malformed('a frame that starts with "LKSY"', `0x${magic.toString(16)}`);
  if (view.getUint8(4) !== FORMAT) throw malformed(`format ${FORMAT} of frames`, `${view.getUint8(4)}`);
  if (view.getUint32(CHECKED_BYTES, true) !== crc32(header.subarray(0, CHECKED_BYTES))) throw damaged('header');
  const bodyLength = view.getUint32(48, true);
  if (bodyLength > MAX_BODY_BYTES) throw malformed(`a body of at most ${MAX_BODY_BYTES} bytes`, `${bodyLength}`);
  if (body.length !== bodyLength) throw malformed(`a body of ${bodyLength} bytes`, `${body.length}`);
  if (view.getUint32(52, true) !== crc32(body)) throw damaged('body');
  const type = FRAME_TYPES[view.getUint8(5)];
  const encoding = ENCODINGS[view.getUint8(6)];
  if (type === undefined) throw malformed('a known type of frame', `${view.getUint8(5)}`);
  if (encoding === undefined) throw malformed('a known encoding', `${view.getUint8(6)}`);
  return {
    type,
    encoding,
    incarnation: view.getUint32(8, true),
    shard: view.getUint16(12, true),
    slice: view.getUint16(14, true),
    step: view.getUint32(16, true),
    version: view.getUint32(20, true),
    sequence: view.getUint32(24, true),
    numValues: view.getUint32(28, true),
    learningRate: view.getFloat64(32, true),
    weight: view.getFloat64(40, true),
    body,
  };
}

function expectFits(header: FrameHeader, body: Uint8Array): void {
  const { incarnation, step, version, sequence, numValues, shard, slice } = header;
  for (const [name, value] of Object.entries({ incarnation, step, version, sequence, numValues, shard, slice })) {
    const bits = name === 'shard' || name === 'slice' ? 16 : 32;
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
      throw malformed(`\`${name}\` of a frame to be a whole number of ${bits} bits`, `${value}`);
    }
  }
  if (body.length > MAX_BODY_BYTES) throw malformed(`a body of at most ${MAX_BODY_BYTES} bytes`, `${body.length}`);
}

function malformed(expected: string, got: string): LookalikeError {
  return new LookalikeError(
    'invalidInput',
    `Expected ${expected}, got ${got}: both ends must run the same version of Lookalike.`,
  );
}

function damaged(part: string): LookalikeError {
  return new LookalikeError(
    'corruptArtifact',
    `Expected the ${part} of a frame to match its checksum, but it does not: send it again.`,
  );
}
