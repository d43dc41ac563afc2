import { LookalikeError } from '../../contracts/errors.ts';
import { matches } from '../../infra/filters/matches.ts';
import { rerank } from '../../infra/rerank/rerank.ts';
import { ValidationError } from '../validation.ts';
import { standing } from './page.ts';
import type { Page } from './page.ts';
import type { Candidate } from './ranking.ts';
import type { Boost, SearchInput } from './search-input.ts';

/** Every two of them may have to be compared, in the thread that answers. */
export const MAX_RERANK_DEPTH = 500;
const MIN_DEFAULT_DEPTH = 100;
const DEFAULT_FACTOR = 4;

type RerankInput = Pick<SearchInput, 'k' | 'rescore' | 'diversity' | 'nearDuplicateScore' | 'boosts' | 'rerankDepth'>;

export function isReranked({ diversity = 0, nearDuplicateScore, boosts }: RerankInput): boolean {
  return diversity > 0 || nearDuplicateScore !== undefined || boosts !== undefined;
}

/** Candidates that are re-ranked. */
export function rerankDepth({ k, rerankDepth: said }: RerankInput): number {
  return said ?? Math.min(MAX_RERANK_DEPTH, Math.max(MIN_DEFAULT_DEPTH, DEFAULT_FACTOR * k));
}

/** Options that contradict each other. @throws ValidationError */
export function checkRerank(input: RerankInput & Pick<SearchInput, 'exactScores'>): void {
  const { k, rescore, exactScores } = input;
  if (exactScores === true && rescore === 0) {
    throw wrong('rescore', 'at least 1, or left out, with `exactScores`', '0');
  }
  if (!isReranked(input)) {
    if (input.rerankDepth === undefined) return;
    const with_ = '`diversity`, `nearDuplicateScore` or `boosts`';
    throw wrong('rerankDepth', `left out (it goes with ${with_})`, String(input.rerankDepth));
  }
  if (rescore === 0) throw wrong('rescore', 'at least 1, or left out, where a search re-ranks', '0');
  const depth = rerankDepth(input);
  if (k > depth) throw wrong('k', `at most ${depth}, the candidates that are re-ranked`, String(k));
}

/** What the boosts that an item meets add up to. */
export function boostOf({ item }: Candidate, boosts: readonly Boost[] = []): number {
  return boosts.reduce((sum, { category, filter, weight }) => {
    const isMet =
      (category === undefined || item.category === category) &&
      (filter === undefined || matches(filter, item.attributes));
    return isMet ? sum + weight : sum;
  }, 0);
}

/**
 * The page after the item `after` of the candidates put in their new order, then grouped.
 * @param candidates best first, as many as are re-ranked; those without a vector are gone since they were found
 * @throws LookalikeError `conflict` when the item is no longer among them
 */
export function rerankedPage(
  input: SearchInput,
  query: Float32Array,
  candidates: readonly Candidate[],
  vectors: ReadonlyMap<string, Float32Array>,
  after: string | undefined,
): Page {
  const known = candidates.flatMap((one) => {
    const vector = vectors.get(one.item.id);
    return vector === undefined ? [] : [{ one, vector }];
  });
  const order = rerank(
    query,
    known.map(({ one, vector }) => ({ score: one.score, vector, boost: boostOf(one, input.boosts) })),
    input,
  );
  const ranked = standing(
    order.map(({ index, rankScore }) => ({ ...known[index]!.one, rankScore })),
    input,
  );
  const from = after === undefined ? 0 : ranked.findIndex(({ item }) => item.id === after) + 1;
  if (after !== undefined && from === 0) {
    throw new LookalikeError(
      'conflict',
      `Expected item "${after}", where the page before ended, among what is re-ranked, but it is gone. Search again without \`cursor\`.`,
      { itemId: after },
    );
  }
  const rest = ranked.slice(from);
  return { hits: rest.slice(0, input.k), hasMore: rest.length > input.k };
}

function wrong(field: string, expected: string, got: string): ValidationError {
  return new ValidationError([{ field, expected, got }]);
}
