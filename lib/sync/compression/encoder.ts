import { LookalikeError } from '../../../contracts/errors.ts';
import { firstNonFinite } from '../finite.ts';
import type { Encoding } from '../protocol.ts';

/**
 * Turns the gradients of one slice over one range into bytes. With error feedback, what the bytes leave out is kept and added to
 * the next gradient, so that the sum of what arrives follows the sum of what was computed (Karimireddy et al., arXiv 1901.09847).
 */
export interface GradientEncoder {
  readonly encoding: Encoding;
  /**
   * To be called once per step: a repeated push sends the same bytes again. They are fresh memory, but for `none`, where they are
   * the gradient's own.
   * @throws LookalikeError `nonFinite` | `dimensionMismatch`; the residual is then as before
   */
  encode(gradient: Float32Array): Uint8Array;
  /** What has been left out so far (a copy), or null where nothing ever is. */
  residual(): Float32Array | null;
}

/** @throws LookalikeError `dimensionMismatch` | `nonFinite` */
export function expectGradient(gradient: Float32Array, length: number): void {
  if (gradient.length !== length) {
    throw new LookalikeError('dimensionMismatch', `Expected a gradient of ${length} values, got ${gradient.length}.`);
  }
  const at = firstNonFinite(gradient);
  if (at !== -1) {
    throw new LookalikeError(
      'nonFinite',
      `Expected a finite gradient, got ${gradient[at]} at ${at}; it was not sent. Lower the learning rate.`,
    );
  }
}

/** The residual to go on from, or zeros. @throws LookalikeError as `expectGradient` */
export function residualOf(from: Float32Array | undefined, length: number): Float32Array {
  if (from === undefined) return new Float32Array(length);
  expectGradient(from, length);
  return from.slice();
}

export function malformed(encoding: Encoding, expected: string, got: string): LookalikeError {
  return new LookalikeError('invalidInput', `Expected ${expected} in a gradient encoded as ${encoding}, got ${got}.`);
}
