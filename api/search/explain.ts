import type { SearchExplanation } from '../../contracts/serving.ts';
import { effortOf } from '../../infra/shards/search-effort.ts';
import type { Found } from './candidates.ts';
import type { SearchInput } from './search-input.ts';

/** How an answer came to be. */
export function explain(
  input: SearchInput,
  { round, candidates, numRounds, depth, numFound }: Found,
): SearchExplanation {
  return {
    numRounds,
    depth,
    candidates: { found: numFound, leftOut: numFound - candidates.length },
    effort: effortOf(input),
    exact: input.exact,
    shards: round.shards,
  };
}
