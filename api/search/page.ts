import type { SearchAnswer, SearchHit } from '../../contracts/serving.ts';
import { foundItem } from '../catalogue/found-item.ts';
import { comparePlaces, groupRanked, placeOf } from './ranking.ts';
import type { Candidate, Place, Ranked } from './ranking.ts';
import type { SearchInput } from './search-input.ts';

export interface Page {
  hits: Ranked[];
  /** More than these are known already. */
  hasMore: boolean;
}

/**
 * The `k` that follow the cursor. A group stands where its best item does: the groups of earlier pages stand before the cursor, as their
 * items are among the candidates again.
 * @param candidates best first, with all that earlier pages were made of
 */
export function pageOf(
  candidates: readonly Candidate[],
  { k, groupBy, groupSize }: Pick<SearchInput, 'k' | 'groupBy' | 'groupSize'>,
  after: Place | undefined,
): Page {
  const ranked = standing(candidates, { groupBy, groupSize });
  const rest = after === undefined ? ranked : ranked.filter((one) => comparePlaces(after, placeOf(one)) < 0);
  return { hits: rest.slice(0, k), hasMore: rest.length > k };
}

/** As they stand in an answer: the best of each group, or all. */
export function standing(
  candidates: readonly Candidate[],
  { groupBy, groupSize = 1 }: Pick<SearchInput, 'groupBy' | 'groupSize'>,
): Ranked[] {
  if (groupBy !== undefined) return groupRanked(candidates, groupBy, groupSize);
  return candidates.map((one): Ranked => ({ ...one, more: [] }));
}

export function describeHit(catalogue: string, { group, more, ...best }: Ranked): SearchAnswer['hits'][number] {
  const hit = ({ item, score, probability, rankScore }: Candidate): SearchHit => ({
    ...foundItem(catalogue, item),
    score,
    ...(probability !== undefined && { probability }),
    ...(rankScore !== undefined && { rankScore }),
  });
  return { ...hit(best), ...(group !== undefined && { group: { value: group, more: more.map(hit) } }) };
}
