/** A value that an item is filtered by. Compared as text, so that `89` of a JSON row equals `89` of a CSV one, and `true` is `"true"`. */
export type FilterValue = string | number | boolean;

/** Of one attribute: equal to a value, to one of several, or a number within bounds (text that reads as a number counts as one). */
export type Condition = FilterValue | { in: FilterValue[] } | { gt?: number; gte?: number; lt?: number; lte?: number };

/**
 * What an item's attributes must be, all of it. An attribute that is a list matches if one of its values does; an item without the attribute does
 * not match.
 */
export type AttributeFilter = Record<string, Condition>;

/** Larger filters are refused: each condition is looked at for every item of a shard. */
export const FILTER_LIMITS = { conditions: 16, values: 1_000, nameLength: 256, valueLength: 1_024 } as const;
