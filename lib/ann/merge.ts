import { compareIds } from './shard-of.ts';

/** One found item: higher scores are nearer. */
export interface ScoredId {
  id: string;
  score: number;
}

/** The best `k` of several lists: score descending, then id ascending, so that equal inputs give one answer. */
export function mergeTopK<T extends ScoredId>(lists: readonly (readonly T[])[], k: number): T[] {
  return lists
    .flat()
    .sort((a, b) => b.score - a.score || compareIds(a.id, b.id))
    .slice(0, k);
}
