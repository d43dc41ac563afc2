import { bytesOf, floatsOf } from '../float-bytes.ts';
import { expectGradient, malformed } from './encoder.ts';
import type { GradientEncoder } from './encoder.ts';

/** float32 as it is: 4 bytes a value, no copy on either side. */
export function createPlainEncoder(length: number): GradientEncoder {
  return {
    encoding: 'none',
    encode: (gradient) => {
      expectGradient(gradient, length);
      return bytesOf(gradient);
    },
    residual: () => null,
  };
}

/** @throws LookalikeError `invalidInput` */
export function decodePlain(bytes: Uint8Array, length: number): Float32Array {
  if (bytes.length !== length * 4) throw malformed('none', `${length * 4} bytes`, `${bytes.length}`);
  return floatsOf(bytes);
}
