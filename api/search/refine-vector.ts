import { LookalikeError } from '../../contracts/errors.ts';

/** How far beyond the wanted ones, in terms of their distance to the unwanted ones. */
const PUSH = 0.5;

/**
 * The vector to ask with for "more like these, less like those": from the mean of what is wanted, half as far again away from the mean of what is not
 * (Rocchio, 1971, with weights 1.5 and 0.5).
 * @param wanted at least one, all of one length
 * @throws LookalikeError `invalidInput` when nothing is left to look for
 */
export function refineVector(wanted: readonly Float32Array[], unwanted: readonly Float32Array[]): Float32Array {
  // Most searches have no examples.
  if (unwanted.length === 0 && wanted.length === 1) return wanted[0]!;
  const towards = mean(wanted);
  const away = unwanted.length === 0 ? towards : mean(unwanted);
  const vector = Float32Array.from(towards, (value, i) => value + PUSH * (value - away[i]!));
  if (vector.some((value) => value !== 0)) return vector;
  throw new LookalikeError(
    'invalidInput',
    'Expected examples that leave a direction to look in, but they cancel each other out. Leave one of them out.',
  );
}

function mean(vectors: readonly Float32Array[]): Float64Array {
  const sum = new Float64Array(vectors[0]!.length);
  for (const vector of vectors) for (let i = 0; i < sum.length; i++) sum[i]! += vector[i]! / vectors.length;
  return sum;
}
