import { createBitmap, setBit } from '../bitmap.ts';
import type { SegmentView } from './append-segment.ts';

/**
 * Which ids may be returned: a set costs as much as it holds, a function is asked about every live id, and who knows the base's rows
 * by a bitmap is asked about what was added alone.
 */
export type IdFilter = ReadonlySet<string> | ((id: string) => boolean) | RowFilter;
export interface RowFilter {
  /** Bit i: row i of the base may be returned, if it is live. */
  base: Uint32Array;
  /** Null: nothing that was added. */
  added: ((id: string) => boolean) | null;
}

/** What one search sees: the rows that it may return. `base` absent: all of them. */
export interface View {
  base: Uint32Array | undefined;
  segment: SegmentView;
}

/** @param places row of the base, or ~slot of the segment, of each live id */
export function filteredView(
  places: ReadonlyMap<string, number>,
  filter: Exclude<IdFilter, RowFilter>,
  numRows: number,
  numSlots: number,
): View {
  const base = createBitmap(numRows);
  const live = createBitmap(numSlots);
  const admit = (place: number): void => (place < 0 ? setBit(live, ~place) : setBit(base, place));
  if (typeof filter === 'function') {
    for (const [id, place] of places) if (filter(id)) admit(place);
  } else {
    for (const id of filter) {
      const place = places.get(id);
      if (place !== undefined) admit(place);
    }
  }
  return { base, segment: { live, numSlots } };
}
