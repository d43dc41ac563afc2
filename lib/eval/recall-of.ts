import type { ScoredId } from '../ann/merge.ts';

/** How many of the true nearest there are, and how many of them were found. */
export interface RecallCount {
  expected: number;
  found: number;
}

/**
 * Of an answer against the exact one. Among items as near as the last true one it does not matter which are named.
 * @param hits best first, at least as many as the truth where there are so many
 */
export function recallOf(hits: readonly ScoredId[], truth: readonly ScoredId[]): RecallCount {
  const ids = new Set(truth.map(({ id }) => id));
  const last = truth.at(-1)?.score;
  const found = hits.slice(0, truth.length).filter(({ id, score }) => ids.has(id) || score === last).length;
  return { expected: truth.length, found };
}
