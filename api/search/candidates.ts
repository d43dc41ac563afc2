import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { CatalogueStore } from '../../contracts/registry.ts';
import { matches } from '../../infra/filters/matches.ts';
import type { Searcher, SearcherAnswer, SearcherQuery } from '../ports.ts';
import { compareCandidates } from './ranking.ts';
import type { Candidate } from './ranking.ts';
import type { SearchInput } from './search-input.ts';

/** Asked for beyond `k` at first, so that a few items deleted since the index was built need no second round. */
const SPARE = 8;
/** No round asks the shards for more than this, the most that they take. */
export const MAX_DEPTH = 10_000;
const DEEPER = 4;

/** What was found so far. */
export interface Found {
  /** Of the newest round, but with the times of all; facets are asked for once. */
  round: SearcherAnswer;
  /** Best first, each once; what the catalogue no longer holds, or holds differently, is left out. */
  candidates: Candidate[];
  /** How many rounds were asked, and how many hits of each shard in the last. */
  numRounds: number;
  depth: number;
  /** Hits of all rounds, wanted or not. */
  numFound: number;
  /** There is nothing more: every item that may be found was found, or `MAX_DEPTH` is reached. */
  isAll: boolean;
  isDepthReached: boolean;
}

/** How deep the first round looks that is to find `k`. */
export function firstDepth(k: number, { moreLike = [], lessLike = [] }: SearchInput): number {
  return k + SPARE + moreLike.length + lessLike.length;
}

/**
 * Rounds of a search, each deeper than the one before and with all that those found: an approximate index that looks deeper may
 * miss what it found before, and pages of one answer must not.
 * @param depth of the first round
 */
export async function* rounds(
  searcher: Pick<Searcher, 'search'>,
  catalogueStore: Pick<CatalogueStore, 'getItems'>,
  input: SearchInput,
  query: Omit<SearcherQuery, 'k' | 'facets' | 'facetSize'>,
  depth: number,
): AsyncGenerator<Found> {
  const ask = (k: number, countsFacets: boolean): Promise<SearcherAnswer> => {
    const { facets, facetSize } = input;
    return searcher.search({ ...query, k, ...(countsFacets && facets !== undefined && { facets, facetSize }) });
  };
  let known = new Map<string, Candidate | null>();
  let before: SearcherAnswer | undefined;
  for (let asked = depth, numRounds = 1; ; asked = Math.min(asked * DEEPER, MAX_DEPTH), numRounds++) {
    let round = await ask(asked, before === undefined);
    if (before !== undefined && round.table.generation !== before.table.generation) {
      // Another generation serves: what was found in the one before does not compare.
      known = new Map();
      round = await ask(asked, true);
    }
    if (before !== undefined) round = joined(before, round);
    before = round;
    const fresh = round.hits.filter(({ id }) => !known.has(id));
    const items = await catalogueStore.getItems(
      query.catalogue,
      fresh.map(({ id }) => id),
    );
    const itemOf = new Map(items.map((item) => [item.id, item]));
    for (const { id, score } of fresh) {
      const item = itemOf.get(id);
      known.set(id, item !== undefined && isWanted(item, input) ? { item, score } : null);
    }
    const isExhausted = round.hits.length < asked;
    yield {
      round,
      candidates: [...known.values()].filter((one) => one !== null).sort(compareCandidates),
      numRounds,
      depth: asked,
      numFound: known.size,
      isAll: isExhausted || asked >= MAX_DEPTH,
      isDepthReached: !isExhausted && asked >= MAX_DEPTH,
    };
  }
}

function joined(before: SearcherAnswer, round: SearcherAnswer): SearcherAnswer {
  const [a, b] = [before.timingsMs, round.timingsMs];
  const timingsMs = { route: a.route + b.route, search: a.search + b.search, merge: a.merge + b.merge };
  return { facets: before.facets, ...round, timingsMs };
}

/** What changed since the index was built counts as it is now; what was asked with is no answer. */
function isWanted(item: CatalogueItem, { query, moreLike, lessLike, category, filter }: SearchInput): boolean {
  if (query.kind === 'item' && query.id === item.id) return false;
  if (moreLike?.includes(item.id) === true || lessLike?.includes(item.id) === true) return false;
  if (category !== undefined && item.category !== category) return false;
  return filter === undefined || matches(filter, item.attributes);
}
