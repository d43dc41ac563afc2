import type { SearchAnswer } from '../../contracts/serving.ts';
import type { Logger } from '../../infra/log/logger.ts';
import type { SearchInput } from './search-input.ts';

/** Lines a minute: when everything is slow, a thousand lines say no more than these. */
const LINES_PER_MINUTE = 60;
const MINUTE_MS = 60_000;

/** Logs searches that took longer than they should: what was asked for, and where the time went; never pictures, vectors or values. */
export class SlowSearches {
  private readonly logger: Pick<Logger, 'warn'>;
  private readonly slowMs: number;
  private readonly now: () => number;
  private minute = -Infinity;
  private lines = 0;
  private left = 0;

  /** @param slowMs 0: none is logged */
  constructor(logger: Pick<Logger, 'warn'>, slowMs: number, now: () => number = () => performance.now()) {
    this.logger = logger;
    this.slowMs = slowMs;
    this.now = now;
  }

  /** @returns whether it was slow */
  offer(catalogue: string, input: SearchInput, answer: SearchAnswer, requestId: string | undefined): boolean {
    if (this.slowMs === 0 || answer.timingsMs.total < this.slowMs) return false;
    const now = this.now();
    if (now - this.minute >= MINUTE_MS) {
      if (this.left > 0) this.logger.warn({ left: this.left }, 'more searches were slow than were logged');
      [this.minute, this.lines, this.left] = [now, 0, 0];
    }
    if (++this.lines > LINES_PER_MINUTE) this.left++;
    else this.logger.warn({ requestId, catalogue, ...described(input), ...result(answer) }, 'slow search');
    return true;
  }
}

function described({
  query,
  k,
  category,
  filter,
  groupBy,
  facets,
  cursor,
  exact,
  boosts,
  ...rest
}: SearchInput): object {
  const { diversity, nearDuplicateScore, minScore, minProbability, efSearch, nprobe, probes, checks, rescore } = rest;
  return {
    ...{ query: query.kind, k, exact, groupBy, facets, hasCategory: category !== undefined },
    ...{ filteredBy: filter && Object.keys(filter), isLaterPage: cursor !== undefined, numBoosts: boosts?.length },
    ...{ diversity, nearDuplicateScore, minScore, minProbability, efSearch, nprobe, probes, checks, rescore },
  };
}

function result({ hits, generation, coverage, timingsMs }: SearchAnswer): object {
  return { numHits: hits.length, generation, coverage, timingsMs };
}
