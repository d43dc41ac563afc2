import type { JsonObject } from '../../../../contracts/json.ts';
import type { SearchSpace } from '../../../../contracts/tuning.ts';
import { combinations } from '../../../../lib/tune/combinations.ts';
import { canonical, everyValue } from '../../../../lib/tune/dimension.ts';
import { drawParams } from '../../../../lib/tune/draw.ts';
import { randomOf } from '../../../../lib/train/random.ts';

/** A continuous space hardly repeats itself; a small one that repeats itself this often is looked through in order. */
const ATTEMPTS = 64;

/**
 * A combination drawn evenly (Bergstra and Bengio 2012) that none of `taken` is: to train it again would give what is known.
 * `null` when there is none left.
 */
export function randomParams(
  space: SearchSpace,
  taken: readonly JsonObject[],
  seed: number,
  trial: number,
): JsonObject | null {
  const known = new Set(taken.map(canonical));
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const params = drawParams(space, (path) => randomOf(seed, trial, attempt, path)());
    if (!known.has(canonical(params))) return params;
  }
  for (const params of combinations(space, everyValue)) if (!known.has(canonical(params))) return params;
  return null;
}
