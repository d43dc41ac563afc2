import { LookalikeError } from '../../../contracts/errors.ts';
import { floatsOf, wordsOf } from '../float-bytes.ts';
import { expectGradient, malformed, residualOf } from './encoder.ts';
import type { GradientEncoder } from './encoder.ts';

/**
 * The `share` of values that are largest in magnitude, exactly; the rest waits in the residual (Aji & Heafield, arXiv 1704.05021;
 * convergence: Stich et al., arXiv 1809.07599). Of equal ones the first are taken. 8 bytes a value that is sent.
 * @throws LookalikeError `invalidInput` unless 0 < share <= 1
 */
export function createTopKEncoder(share: number, length: number, from?: Float32Array): GradientEncoder {
  const numSent = numTopK(share, length);
  const residual = residualOf(from, length);
  const select = createThreshold();
  return {
    encoding: 'topK',
    encode: (gradient) => {
      expectGradient(gradient, length);
      for (let i = 0; i < length; i++) residual[i] = residual[i]! + gradient[i]!;
      return encodeLargest(residual, numSent, select);
    },
    residual: () => residual.slice(),
  };
}

/** Layout: [k] positions uint32, ascending, then [k] values float32. Takes what it sends out of `values`. */
function encodeLargest(values: Float32Array, numSent: number, select: Threshold): Uint8Array {
  const bytes = new Uint8Array(8 * numSent);
  const positions = wordsOf(bytes, 0, numSent);
  const sent = floatsOf(bytes, 4 * numSent, numSent);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const { threshold, numEqual } = select(bits, numSent);
  let equalLeft = numEqual;
  for (let i = 0, at = 0; at < numSent; i++) {
    const magnitude = bits[i]! & 0x7fff_ffff;
    if (magnitude < threshold || (magnitude === threshold && equalLeft-- <= 0)) continue;
    positions[at] = i;
    sent[at] = values[i]!;
    values[i] = 0;
    at++;
  }
  return bytes;
}

/** @throws LookalikeError `invalidInput` */
export function decodeTopK(bytes: Uint8Array, length: number): Float32Array {
  const numSent = bytes.length / 8;
  if (!Number.isInteger(numSent) || numSent > length) {
    throw malformed('topK', `8 bytes for each of at most ${length} values`, `${bytes.length}`);
  }
  const positions = wordsOf(bytes, 0, numSent);
  const values = floatsOf(bytes, 4 * numSent, numSent);
  const out = new Float32Array(length);
  let before = -1;
  for (let i = 0; i < numSent; i++) {
    const position = positions[i]!;
    if (position <= before || position >= length) {
      throw malformed('topK', `ascending positions below ${length}`, `${position} after ${before}`);
    }
    out[position] = values[i]!;
    before = position;
  }
  return out;
}

/** @throws LookalikeError `invalidInput` */
export function numTopK(share: number, length: number): number {
  if (share > 0 && share <= 1) return Math.ceil(share * length);
  throw new LookalikeError('invalidInput', `Expected \`share\` of topK to be above 0 and at most 1, got ${share}.`);
}

/** The magnitude (as bits) of the k-th largest, and how many values of exactly that magnitude belong to the k. */
type Threshold = (bits: Uint32Array, k: number) => { threshold: number; numEqual: number };

/** Radix selection in two passes of 16 bits: magnitudes of float32 are ordered as their bits are, so that no value is ever moved. */
function createThreshold(): Threshold {
  const counts = new Uint32Array(2 ** 16);
  const topBin = (k: number): { bin: number; left: number } => {
    let bin = counts.length - 1;
    let left = k;
    for (; counts[bin]! < left; bin--) left -= counts[bin]!;
    return { bin, left };
  };
  return (bits, k) => {
    counts.fill(0);
    for (let i = 0; i < bits.length; i++) counts[(bits[i]! & 0x7fff_ffff) >>> 16]!++;
    const high = topBin(k);
    counts.fill(0);
    for (let i = 0; i < bits.length; i++) {
      const magnitude = bits[i]! & 0x7fff_ffff;
      if (magnitude >>> 16 === high.bin) counts[magnitude & 0xffff]!++;
    }
    const low = topBin(high.left);
    return { threshold: high.bin * 2 ** 16 + low.bin, numEqual: low.left };
  };
}
