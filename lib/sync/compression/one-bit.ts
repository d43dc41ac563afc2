import { floatsOf } from '../float-bytes.ts';
import { expectGradient, malformed, residualOf } from './encoder.ts';
import type { GradientEncoder } from './encoder.ts';

/** Values that share two means. */
const BLOCK = 512;

/**
 * 1-bit SGD (Seide et al., Interspeech 2014): of each value only its sign, and per block of 512 the mean of the negative and of the
 * other values, which is what each stands for; the error is fed back. 1/8 byte a value and 8 bytes a block.
 */
export function createOneBitEncoder(length: number, from?: Float32Array): GradientEncoder {
  // Holds gradient + error before, error after.
  const residual = residualOf(from, length);
  return {
    encoding: 'oneBit',
    encode: (gradient) => {
      expectGradient(gradient, length);
      for (let i = 0; i < length; i++) residual[i] = residual[i]! + gradient[i]!;
      return encodeSigns(residual);
    },
    residual: () => residual.slice(),
  };
}

/** Layout: (mean of negatives, mean of others) float32 per block, then one bit a value, lowest first. Leaves the error in `values`. */
function encodeSigns(values: Float32Array): Uint8Array {
  const numBlocks = Math.ceil(values.length / BLOCK);
  const bytes = new Uint8Array(oneBitBytes(values.length));
  const means = floatsOf(bytes, 0, 2 * numBlocks);
  const signs = bytes.subarray(8 * numBlocks);
  for (let block = 0; block < numBlocks; block++) {
    const start = block * BLOCK;
    const end = Math.min(start + BLOCK, values.length);
    let below = 0;
    let above = 0;
    let numBelow = 0;
    for (let i = start; i < end; i++) {
      const value = values[i]!;
      // Without branches: signs are coin tosses, and a wrong guess costs more than the sum.
      below += Math.min(value, 0);
      above += Math.max(value, 0);
      numBelow += Number(value < 0);
    }
    means[2 * block] = numBelow === 0 ? 0 : below / numBelow;
    means[2 * block + 1] = numBelow === end - start ? 0 : above / (end - start - numBelow);
    for (let i = start; i < end; i++) {
      const bit = Number(values[i]! >= 0);
      signs[i >>> 3]! |= bit << (i & 7);
      values[i] = values[i]! - means[2 * block + bit]!;
    }
  }
  return bytes;
}

/** @throws LookalikeError `invalidInput` */
export function decodeOneBit(bytes: Uint8Array, length: number): Float32Array {
  if (bytes.length !== oneBitBytes(length))
    throw malformed('oneBit', `${oneBitBytes(length)} bytes`, `${bytes.length}`);
  const numBlocks = Math.ceil(length / BLOCK);
  const means = floatsOf(bytes, 0, 2 * numBlocks);
  const signs = bytes.subarray(8 * numBlocks);
  const out = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const bit = (signs[i >>> 3]! >>> (i & 7)) & 1;
    out[i] = means[2 * Math.floor(i / BLOCK) + bit]!;
  }
  return out;
}

export function oneBitBytes(length: number): number {
  return 8 * Math.ceil(length / BLOCK) + Math.ceil(length / 8);
}
