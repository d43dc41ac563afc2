import type { CatalogueItem } from '../../contracts/catalogue.ts';

/** An item of the catalogue that was found. */
export interface Candidate {
  item: CatalogueItem;
  score: number;
  probability?: number;
  /** What it ranks by, where it was re-ranked. */
  rankScore?: number;
}

/** A candidate that stands in an answer, with what it stands for. */
export interface Ranked extends Candidate {
  /** Null: it has no such value and stands for itself; undefined: nothing is grouped. */
  group?: string | null;
  more: Candidate[];
}

/** Score descending, then id ascending, as shards are merged: an order that no two items share a place in. */
export function compareCandidates(a: Candidate, b: Candidate): number {
  return comparePlaces(placeOf(a), placeOf(b));
}

export interface Place {
  score: number;
  id: string;
}

export function placeOf({ item, score }: Candidate): Place {
  return { score, id: item.id };
}

/** Less than 0: `a` stands before `b`. */
export function comparePlaces(a: Place, b: Place): number {
  return b.score - a.score || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/**
 * The best of each group, in the order given, with up to `size` - 1 further members each. `groupBy` is `category`, `label` or an
 * attribute; of a list its first value counts.
 */
export function groupRanked(ranked: readonly Candidate[], groupBy: string, size: number): Ranked[] {
  const groups = new Map<string, Ranked>();
  const kept: Ranked[] = [];
  for (const candidate of ranked) {
    const value = groupValue(candidate.item, groupBy);
    const group = value === null ? undefined : groups.get(value);
    if (group !== undefined) {
      if (group.more.length < size - 1) group.more.push(candidate);
      continue;
    }
    const first: Ranked = { ...candidate, group: value, more: [] };
    if (value !== null) groups.set(value, first);
    kept.push(first);
  }
  return kept;
}

function groupValue(item: CatalogueItem, groupBy: string): string | null {
  if (groupBy === 'category' || groupBy === 'label') return item[groupBy];
  const attribute = Object.hasOwn(item.attributes, groupBy) ? item.attributes[groupBy] : undefined;
  const value = Array.isArray(attribute) ? attribute[0] : attribute;
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}
