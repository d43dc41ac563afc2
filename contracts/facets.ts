/** How many items have each value of `category` or of an attribute. */
export interface FacetCounts {
  name: string;
  /** The commonest first, equally common ones by value; an item counts for each value of its list. */
  values: { value: string; count: number }[];
  /** A count may be too low by this at most: more than 0 only where a shard knows more values than it tells. */
  maxError: number;
}

/** What one shard says of a facet: its commonest values; none that is left out has a count above `rest`. */
export interface ShardFacet {
  values: [value: string, count: number][];
  rest: number;
}

/** `shardValues`: how many values of a facet a shard tells. */
export const FACET_LIMITS = { facets: 8, values: 1_000, shardValues: 1_000 } as const;
