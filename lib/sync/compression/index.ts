import { assertNever } from '../../../contracts/errors.ts';
import type { DataParallelConfig } from '../../../contracts/training.ts';
import type { Encoding } from '../protocol.ts';
import type { GradientEncoder } from './encoder.ts';
import { createHalfEncoder, decodeHalves, halfBytes } from './fp16.ts';
import { createPlainEncoder, decodePlain } from './none.ts';
import { createOneBitEncoder, decodeOneBit, oneBitBytes } from './one-bit.ts';
import { createTopKEncoder, decodeTopK, numTopK } from './top-k.ts';

export type { GradientEncoder } from './encoder.ts';
export type Compression = DataParallelConfig['compression'];

/**
 * For the gradients of one slice over one range of `length` values. `residual` is what an earlier encoder had left out; without it a
 * replica that starts again loses that much.
 * @throws LookalikeError `invalidInput` for a share out of bounds, `dimensionMismatch` for a residual of another length
 */
export function createEncoder(compression: Compression, length: number, residual?: Float32Array): GradientEncoder {
  switch (compression.kind) {
    case 'none':
      return createPlainEncoder(length);
    case 'fp16':
      return createHalfEncoder(length);
    case 'topK':
      return createTopKEncoder(compression.share, length, residual);
    case 'oneBit':
      return createOneBitEncoder(length, residual);
    default:
      return assertNever(compression);
  }
}

/** What was sent, exactly. For `none` a view of the bytes where they are aligned. @throws LookalikeError `invalidInput` */
export function decodeGradient(encoding: Encoding, bytes: Uint8Array, length: number): Float32Array {
  switch (encoding) {
    case 'none':
      return decodePlain(bytes, length);
    case 'fp16':
      return decodeHalves(bytes, length);
    case 'topK':
      return decodeTopK(bytes, length);
    case 'oneBit':
      return decodeOneBit(bytes, length);
    default:
      return assertNever(encoding);
  }
}

/** Size of an encoded gradient of `length` values. */
export function encodedBytes(compression: Compression, length: number): number {
  switch (compression.kind) {
    case 'none':
      return 4 * length;
    case 'fp16':
      return halfBytes(length);
    case 'topK':
      return 8 * numTopK(compression.share, length);
    case 'oneBit':
      return oneBitBytes(length);
    default:
      return assertNever(compression);
  }
}
