import { FACET_LIMITS } from '../../contracts/facets.ts';
import type { FacetCounts, ShardFacet } from '../../contracts/facets.ts';
import { compareIds } from '../ann/shard-of.ts';

type Count = [value: string, count: number];

/** The commonest values of one shard, and a bound for the rest. */
export function shardFacet(counts: Iterable<Count>, numValues: number = FACET_LIMITS.shardValues): ShardFacet {
  const sorted = [...counts].filter(([, count]) => count > 0).sort(commonestFirst);
  return { values: sorted.slice(0, numValues), rest: sorted[numValues]?.[1] ?? 0 };
}

/** The `size` commonest values of all shards together. */
export function mergeFacets(name: string, shards: readonly ShardFacet[], size: number): FacetCounts {
  const sums = new Map<string, number>();
  for (const { values } of shards) {
    for (const [value, count] of values) sums.set(value, (sums.get(value) ?? 0) + count);
  }
  const sorted = [...sums].sort(commonestFirst).slice(0, size);
  return {
    name,
    values: sorted.map(([value, count]) => ({ value, count })),
    maxError: shards.reduce((sum, { rest }) => sum + rest, 0),
  };
}

function commonestFirst([a, countA]: Count, [b, countB]: Count): number {
  return countB - countA || compareIds(a, b);
}
