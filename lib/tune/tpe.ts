import type { JsonObject } from '../../contracts/json.ts';
import type { SearchSpace } from '../../contracts/tuning.ts';
import { createParzenEstimator } from './parzen.ts';

/** However long a search gets, no more than these count as good: later ones come near the optimum and should not be blurred. */
const MOST_GOOD = 25;

export interface TpeSettings {
  /** Combinations drawn from the density of the good ones, of which the one most typical of them is taken. */
  candidates: number;
  /** The share of all observations that counts as good. */
  gamma: number;
}

/**
 * Tree-structured Parzen estimator (Bergstra et al. 2011, sec. 4): of combinations drawn from the density l of the good ones, the one
 * with the greatest l / g, g being the density of all others; that is where the expected improvement is greatest (eq. 8).
 * @param observations best first
 * @returns the candidates, the most promising first
 */
export function tpeCandidates(
  space: SearchSpace,
  observations: readonly JsonObject[],
  { candidates, gamma }: TpeSettings,
  uniform: () => number,
): JsonObject[] {
  const numGood = Math.min(MOST_GOOD, Math.ceil(gamma * observations.length));
  const good = createParzenEstimator(space, observations.slice(0, numGood));
  const bad = createParzenEstimator(space, observations.slice(numGood));
  const scored = Array.from({ length: candidates }, () => {
    const params = good.sample(uniform);
    return { params, score: good.logDensity(params) - bad.logDensity(params) };
  });
  return scored.sort((a, b) => b.score - a.score).map(({ params }) => params);
}
