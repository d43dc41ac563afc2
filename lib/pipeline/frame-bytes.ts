import { LookalikeError } from '../../contracts/errors.ts';
import { bytesOf, floatsOf } from '../sync/float-bytes.ts';
import { sizeOf } from './layers/layer.ts';
import { FRAME_KINDS } from './link.ts';
import type { TensorFrame } from './link.ts';

/** Before the axes' sizes: kind (1 byte), number of axes (1), zero (2), step (4), micro-batch (4). Little-endian. */
const FIXED_BYTES = 12;

/** A frame as two parts of a message: heading and numbers. The numbers are not copied. */
export function encodeFrame({ kind, step, microBatch, shape, values }: TensorFrame): [Uint8Array, Uint8Array] {
  const heading = new Uint8Array(FIXED_BYTES + 4 * shape.length);
  const view = new DataView(heading.buffer);
  view.setUint8(0, FRAME_KINDS.indexOf(kind));
  view.setUint8(1, shape.length);
  view.setUint32(4, step, true);
  view.setUint32(8, microBatch, true);
  shape.forEach((size, axis) => view.setUint32(FIXED_BYTES + 4 * axis, size, true));
  return [heading, bytesOf(values)];
}

/** @throws LookalikeError `invalidInput` for parts that are no such frame */
export function decodeFrame(heading: Uint8Array, numbers: Uint8Array): TensorFrame {
  const view = new DataView(heading.buffer, heading.byteOffset, heading.length);
  const isWhole = heading.length >= FIXED_BYTES && heading.length === FIXED_BYTES + 4 * view.getUint8(1);
  const kind = isWhole ? FRAME_KINDS[view.getUint8(0)] : undefined;
  if (kind === undefined) throw malformed(`a heading of a known kind, got ${heading.length} bytes`);
  const shape = Array.from({ length: view.getUint8(1) }, (_, axis) => view.getUint32(FIXED_BYTES + 4 * axis, true));
  if (numbers.length !== 4 * sizeOf(shape)) {
    throw malformed(`${4 * sizeOf(shape)} bytes for [${shape.join(', ')}], got ${numbers.length}`);
  }
  return { kind, step: view.getUint32(4, true), microBatch: view.getUint32(8, true), shape, values: floatsOf(numbers) };
}

function malformed(what: string): LookalikeError {
  return new LookalikeError('invalidInput', `Expected ${what}: both ends must run the same version of Lookalike.`);
}
