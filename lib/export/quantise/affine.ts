import { LookalikeError } from '../../../contracts/errors.ts';

/** From where to where the values of one tensor lie. */
export interface Range {
  min: number;
  max: number;
}

/** A u8 q stands for (q - zeroPoint) * scale. */
export interface Affine {
  scale: number;
  zeroPoint: number;
}

const LEVELS = 255;

/** Spreads 0..255 over the range, widened to hold zero: padding is zeros, and they must be exact. */
export function affineOf({ min, max }: Range): Affine {
  const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
  if (!Number.isFinite(high - low)) {
    throw new LookalikeError('nonFinite', `Expected a finite range of values, got ${min} to ${max}.`);
  }
  const scale = Math.fround((high - low) / LEVELS);
  // A value that is always zero has any scale.
  if (scale === 0) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.min(Math.max(Math.round(-low / scale), 0), LEVELS) };
}

/** What a value becomes and is read back as. */
export function roundTrip(value: number, { scale, zeroPoint }: Affine): number {
  const q = Math.min(Math.max(roundHalfEven(value / scale) + zeroPoint, 0), LEVELS);
  return (q - zeroPoint) * scale;
}

/** As ONNX rounds: ties to even. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
