import { floatsOf, halvesOf } from '../float-bytes.ts';
import { expectGradient, malformed } from './encoder.ts';
import type { GradientEncoder } from './encoder.ts';

/** The largest magnitude is scaled into 2^14 … 2^15, half of what a half can hold. */
const TOP_EXPONENT = 14;
/** Makes a half of the bits of a float32 that were shifted into place: the difference of both exponents' biases. */
const REBIAS = 2 ** (127 - 15);
/** Adding it to a small double leaves no bits below one, so that the addition itself rounds to nearest even. */
const ROUNDER = 2 ** 52;

/**
 * IEEE 754 half precision, 2 bytes a value and 4 for a power of two by which all were multiplied, so that small gradients keep their 11
 * bits (loss scaling, Micikevicius et al., arXiv 1710.03740, with the factor chosen anew each time) and none overflows. Rounded to
 * nearest, ties to even: relative error at most 2^-11 for values above 2^-28 of the largest.
 */
export function createHalfEncoder(length: number): GradientEncoder {
  return {
    encoding: 'fp16',
    encode: (gradient) => {
      expectGradient(gradient, length);
      return encodeHalves(gradient);
    },
    residual: () => null,
  };
}

/** Layout: the scale [1] float32, then [n] halves. Finite values only. */
export function encodeHalves(values: Float32Array): Uint8Array {
  const scale = scaleOf(values);
  const bytes = new Uint8Array(4 + values.length * 2);
  floatsOf(bytes, 0, 1)[0] = scale;
  const out = halvesOf(bytes, 4, values.length);
  const scaled = new Float32Array(values.length);
  const bits = new Uint32Array(scaled.buffer);
  for (let i = 0; i < scaled.length; i++) scaled[i] = values[i]! * scale;
  for (let i = 0; i < out.length; i++) {
    const sign = (bits[i]! >>> 16) & 0x8000;
    const magnitude = bits[i]! & 0x7fff_ffff;
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    out[i] = magnitude < 0x3880_0000 ? sign | subnormal(scaled[i]!) : sign | ((rounded - 0x3800_0000) >>> 13);
  }
  return bytes;
}

/** The bits of a magnitude below 2^-14: how many 2^-24 it has, to nearest even. */
function subnormal(value: number): number {
  return Math.abs(value) * 2 ** 24 + ROUNDER - ROUNDER;
}

/** @throws LookalikeError `invalidInput` */
export function decodeHalves(bytes: Uint8Array, length: number): Float32Array {
  if (bytes.length !== 4 + length * 2) throw malformed('fp16', `${4 + length * 2} bytes`, `${bytes.length}`);
  const scale = floatsOf(bytes, 0, 1)[0]!;
  if (!(scale > 0 && Number.isFinite(scale))) throw malformed('fp16', 'a positive scale', `${scale}`);
  const halves = halvesOf(bytes, 4, length);
  const out = new Float32Array(length);
  const bits = new Uint32Array(out.buffer);
  const factor = REBIAS / scale;
  for (let i = 0; i < length; i++) {
    const half = halves[i]!;
    bits[i] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
    out[i] = out[i]! * factor;
  }
  return out;
}

export function halfBytes(length: number): number {
  return 4 + length * 2;
}

/** A power of two, so that multiplying by it is exact. */
function scaleOf(values: Float32Array): number {
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const magnitude = Math.abs(values[i]!);
    if (magnitude > largest) largest = magnitude;
  }
  if (largest === 0) return 1;
  return 2 ** Math.max(-126, Math.min(126, TOP_EXPONENT - Math.floor(Math.log2(largest))));
}
