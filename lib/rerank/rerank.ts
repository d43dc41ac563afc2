import { prepared } from '../ann/vectors.ts';
import { dot, maximalMarginalRelevance } from './mmr.ts';

/** One of what was found, with its stored vector. */
export interface RerankCandidate {
  score: number;
  vector: Float32Array;
  /** Added to what it ranks by. */
  boost: number;
}

export interface RerankOptions {
  /** 0..1, see {@link maximalMarginalRelevance}. */
  diversity?: number;
  /** Cosine from which on two pictures count as one. */
  nearDuplicateScore?: number;
}

/**
 * Diversity, then near-duplicates, then boosts. Each stage passes on what an item ranks by, so that none undoes the one before: scores become
 * values of marginal relevance, of near-duplicates the first in that order stays, boosts are added, and that sum is the order.
 * @param query of any length
 * @param candidates best first
 * @returns indices of the candidates and what each ranks by; equal ones as they were given
 */
export function rerank(
  query: Float32Array,
  candidates: readonly RerankCandidate[],
  { diversity = 0, nearDuplicateScore }: RerankOptions,
): { index: number; rankScore: number }[] {
  const units = candidates.map(({ vector }) => prepared(vector, 'cosine'));
  const all = candidates.map((_, i) => i);
  let order = all;
  let values: ArrayLike<number> = candidates.map(({ score }) => score);
  if (diversity > 0) {
    const asked = prepared(query, 'cosine');
    ({ order, values } = maximalMarginalRelevance(
      units.map((each) => dot(asked, each)),
      units,
      diversity,
    ));
  }
  if (nearDuplicateScore !== undefined) order = withoutNearDuplicates(order, units, nearDuplicateScore);
  return order
    .map((index) => ({ index, rankScore: values[index]! + candidates[index]!.boost }))
    .sort((a, b) => b.rankScore - a.rankScore);
}

/** Of those that are at least so alike the first stays. */
function withoutNearDuplicates(order: readonly number[], units: readonly Float32Array[], score: number): number[] {
  const kept: number[] = [];
  for (const i of order) if (kept.every((j) => dot(units[i]!, units[j]!) < score)) kept.push(i);
  return kept;
}
