import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { Metrics } from '../health/metrics.service.ts';
import { withDeadline } from '../http/request-signal.ts';
import type { Logger } from '../../infra/log/logger.ts';
import { LOGGER, REGISTRY, SEARCHER, SETTINGS } from '../ports.ts';
import type { Searcher } from '../ports.ts';
import type { ApiSettings } from '../settings.ts';
import { explain } from './explain.ts';
import { describeHit } from './page.ts';
import { PageService } from './page.service.ts';
import { QuerySampler } from './query-sampler.ts';
import { QueryVectorOnce } from './query-vector-once.ts';
import { QueryVectorService } from './query-vector.service.ts';
import { RecallMonitor } from './recall-monitor.service.ts';
import type { SearchInput } from './search-input.ts';
import { SlowSearches } from './slow-searches.ts';

/** Answers "what looks like this?" for one catalogue. */
@Injectable()
export class SearchService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly vectors: QueryVectorService;
  private readonly pages: PageService;
  private readonly metrics: Metrics;
  private readonly sampler: QuerySampler;
  private readonly recall: RecallMonitor;
  private readonly slow: SlowSearches;
  private readonly deadlineMs: number;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(QueryVectorService) vectors: QueryVectorService,
    @Inject(PageService) pages: PageService,
    @Inject(Metrics) metrics: Metrics,
    @Inject(RecallMonitor) recall: RecallMonitor,
    @Inject(LOGGER) logger: Logger,
    @Inject(SETTINGS) settings: ApiSettings,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.vectors = vectors;
    this.pages = pages;
    this.metrics = metrics;
    this.sampler = new QuerySampler(registry.queries, logger);
    this.recall = recall;
    this.slow = new SlowSearches(logger, settings.limits.slowSearchMs);
    this.deadlineMs = settings.limits.searchDeadlineMs;
  }

  /** @throws LookalikeError `notFound` | `unavailable` | `timeout` | what the query's kind may throw */
  async search(catalogue: string, input: SearchInput, hangUp: AbortSignal, requestId?: string): Promise<SearchAnswer> {
    const started = performance.now();
    const deadlineMs = Math.min(this.deadlineMs, input.timeoutMs ?? Infinity);
    using deadline = withDeadline(hangUp, deadlineMs);
    await this.requireServing(catalogue);
    const queryVector = new QueryVectorOnce((table) => this.vectors.of(table, input, deadline.signal));
    const limits = { signal: deadline.signal, deadlineMs };
    const page = await this.pages.find(catalogue, input, queryVector, limits);
    const { table, coverage, timingsMs, facets } = page.found.round;
    const answer: SearchAnswer = {
      hits: page.hits.map((hit) => describeHit(catalogue, hit)),
      nextCursor: page.nextCursor,
      ...(page.end !== undefined && { end: page.end }),
      ...(facets !== undefined && { facets }),
      ...(input.explain === true && { explanation: explain(input, page.found) }),
      ...(queryVector.crop !== undefined && { crop: queryVector.crop }),
      model: table.model,
      generation: table.generation,
      index: page.index,
      coverage,
      timingsMs: {
        ...{ ...queryVector.timingsMs, ...timingsMs },
        ...(page.rerankMs !== undefined && { rerank: page.rerankMs }),
        total: performance.now() - started,
      },
    };
    const isSlow = this.slow.offer(catalogue, input, answer, requestId);
    this.metrics.observeSearch(answer, page.found.round.shards, isSlow);
    const asked = queryVector.given(table);
    // Vectors of items, and those moved towards or away from some, say nothing of what people look for.
    const { query, moreLike = [], lessLike = [] } = input;
    const isOwn = query.kind !== 'item' && moreLike.length + lessLike.length === 0;
    if (asked !== undefined && isOwn) this.sampler.offer(table, asked);
    if (asked !== undefined)
      this.recall.offer({ query: { catalogue, ...input }, vector: asked, found: page.found.round });
    return answer;
  }

  private async requireServing(catalogue: string): Promise<void> {
    if ((await this.searcher.currentTable(catalogue)) !== undefined) return;
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw new LookalikeError(
      'unavailable',
      `No generation of "${catalogue}" serves yet: run a retrain and wait for it.`,
    );
  }
}
