import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { RoutingTable, SearchAnswer, SearchHit } from '../../contracts/serving.ts';
import { matches } from '../../infra/filters/matches.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { foundItem } from '../catalogue/found-item.ts';
import { Metrics } from '../health/metrics.service.ts';
import { withDeadline } from '../http/request-signal.ts';
import type { Logger } from '../../infra/log/logger.ts';
import { LOGGER, REGISTRY, SEARCHER, SETTINGS } from '../ports.ts';
import type { Searcher, SearcherAnswer } from '../ports.ts';
import type { ApiSettings } from '../settings.ts';
import { QuerySampler } from './query-sampler.ts';
import { QueryVectorOnce } from './query-vector-once.ts';
import { QueryVectorService } from './query-vector.service.ts';
import type { SearchInput } from './search-input.ts';

/** Asked for beyond `k` at first, so that a few items deleted since the index was built need no second round. */
const SPARE = 8;
/** No round asks the shards for more than this, the most that they take. */
const MAX_ASKED = 10_000;

/** Answers "what looks like this?" for one catalogue. */
@Injectable()
export class SearchService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly vectors: QueryVectorService;
  private readonly metrics: Metrics;
  private readonly sampler: QuerySampler;
  private readonly deadlineMs: number;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(QueryVectorService) vectors: QueryVectorService,
    @Inject(Metrics) metrics: Metrics,
    @Inject(LOGGER) logger: Logger,
    @Inject(SETTINGS) settings: ApiSettings,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.vectors = vectors;
    this.metrics = metrics;
    this.sampler = new QuerySampler(registry.queries, logger);
    this.deadlineMs = settings.limits.searchDeadlineMs;
  }

  /** @throws LookalikeError `notFound` | `unavailable` | `timeout` | what the query's kind may throw */
  async search(catalogue: string, input: SearchInput, hangUp: AbortSignal): Promise<SearchAnswer> {
    const started = performance.now();
    using deadline = withDeadline(hangUp, this.deadlineMs);
    await this.requireServing(catalogue);
    const queryVector = new QueryVectorOnce((table) => this.vectors.of(table, input, deadline.signal));
    const { round, hits } = await this.collect(catalogue, input, queryVector, deadline.signal);
    const { table, coverage, timingsMs } = round;
    const answer: SearchAnswer = {
      hits,
      model: table.model,
      generation: table.generation,
      index: await this.indexOf(table),
      coverage,
      timingsMs: { ...queryVector.timingsMs, ...timingsMs, total: performance.now() - started },
    };
    this.metrics.observeSearch(answer);
    const asked = queryVector.given(table);
    // Vectors of items, and those moved towards or away from some, say nothing of what people look for.
    const { query, moreLike = [], lessLike = [] } = input;
    const isOwn = query.kind !== 'item' && moreLike.length + lessLike.length === 0;
    if (asked !== undefined && isOwn) this.sampler.offer(table, asked);
    return answer;
  }

  /** Searches ever deeper until `k` hits are left after dropping what the catalogue no longer holds, or none remain. */
  private async collect(
    catalogue: string,
    input: SearchInput,
    queryVector: QueryVectorOnce,
    signal: AbortSignal,
  ): Promise<{ round: SearcherAnswer; hits: SearchHit[] }> {
    const { query: _, k, moreLike = [], lessLike = [], ...filters } = input;
    const options = { ...filters, signal, deadlineMs: this.deadlineMs };
    for (let asked = k + SPARE + moreLike.length + lessLike.length; ; asked = Math.min(asked * 4, MAX_ASKED)) {
      const before = queryVector.spentMs;
      const vector = (table: RoutingTable): Promise<Float32Array> => queryVector.for(table);
      const round = await this.searcher.search({ ...options, catalogue, k: asked, vector });
      round.timingsMs.route -= queryVector.spentMs - before;
      const hits = await this.join(catalogue, round.hits, input);
      const isAll = round.hits.length < asked || asked >= MAX_ASKED;
      if (hits.length >= k || isAll) return { round, hits: hits.slice(0, k) };
    }
  }

  private async join(catalogue: string, found: SearcherAnswer['hits'], input: SearchInput): Promise<SearchHit[]> {
    const ids = found.map((hit) => hit.id);
    const items = new Map((await this.registry.catalogue.getItems(catalogue, ids)).map((item) => [item.id, item]));
    const { query, moreLike = [], lessLike = [] } = input;
    const given = new Set([...moreLike, ...lessLike, ...(query.kind === 'item' ? [query.id] : [])]);
    return found.flatMap(({ id, score }) => {
      const item = items.get(id);
      if (item === undefined || given.has(id)) return [];
      // What changed since the index was built counts as it is now.
      const moved = input.category !== undefined && item.category !== input.category;
      const isWanted = input.filter === undefined || matches(input.filter, item.attributes);
      return moved || !isWanted ? [] : [{ ...foundItem(catalogue, item), score }];
    });
  }

  private async requireServing(catalogue: string): Promise<void> {
    if ((await this.searcher.currentTable(catalogue)) !== undefined) return;
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw new LookalikeError(
      'unavailable',
      `No generation of "${catalogue}" serves yet: run a retrain and wait for it.`,
    );
  }

  private async indexOf(table: RoutingTable): Promise<string> {
    return (await this.registry.generations.get(table.catalogue, table.generation))?.index ?? '';
  }
}
