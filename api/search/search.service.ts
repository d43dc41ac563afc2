import { Inject, Injectable } from '@nestjs/common';
import { LookalikeError } from '../../contracts/errors.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { RoutingTable, SearchAnswer, SearchHit } from '../../contracts/serving.ts';
import { requireCatalogue } from '../catalogue/item-not-found.ts';
import { imagePath } from '../catalogue/image-path.ts';
import { Metrics } from '../health/metrics.service.ts';
import { withDeadline } from '../http/request-signal.ts';
import { REGISTRY, SEARCHER, SETTINGS } from '../ports.ts';
import type { Searcher } from '../ports.ts';
import type { ApiSettings } from '../settings.ts';
import { QueryVectorService } from './query-vector.service.ts';
import type { QueryVector } from './query-vector.service.ts';
import type { SearchInput } from './search-input.ts';

/** Asked for beyond `k` at first, so that a few items deleted since the index was built need no second round. */
const SPARE = 8;
/** No round asks the shards for more than this. */
const MAX_ASKED = 16_384;

type Round = Awaited<ReturnType<Searcher['search']>>;

/** Answers "what looks like this?" for one catalogue. */
@Injectable()
export class SearchService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly vectors: QueryVectorService;
  private readonly metrics: Metrics;
  private readonly deadlineMs: number;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(QueryVectorService) vectors: QueryVectorService,
    @Inject(Metrics) metrics: Metrics,
    @Inject(SETTINGS) settings: ApiSettings,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.vectors = vectors;
    this.metrics = metrics;
    this.deadlineMs = settings.limits.searchDeadlineMs;
  }

  /** @throws LookalikeError `notFound` | `unavailable` | `timeout` | what the query's kind may throw */
  async search(catalogue: string, input: SearchInput, hangUp: AbortSignal): Promise<SearchAnswer> {
    const started = performance.now();
    using deadline = withDeadline(hangUp, this.deadlineMs);
    const { query, round, hits } = await this.answer(catalogue, input, deadline.signal);
    const answer: SearchAnswer = {
      hits,
      model: round.table.model,
      generation: round.table.generation,
      index: await this.indexOf(round.table),
      coverage: round.coverage,
      timingsMs: { ...query.timingsMs, ...round.timingsMs, total: performance.now() - started },
    };
    this.metrics.observeSearch(answer);
    return answer;
  }

  /** A vector means nothing to another model: when the serving model changed while the query was embedded, starts over. */
  private async answer(
    catalogue: string,
    input: SearchInput,
    signal: AbortSignal,
  ): Promise<{ query: QueryVector; round: Round; hits: SearchHit[] }> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const table = await this.servingTable(catalogue);
      const query = await this.vectors.of(table, input.query, signal);
      const { round, hits } = await this.collect(catalogue, input, query.vector, signal);
      if (round.table.model === table.model) return { query, round, hits };
    }
    throw new LookalikeError('unavailable', `The serving model of "${catalogue}" keeps changing; try again.`);
  }

  /** Searches ever deeper until `k` hits are left after dropping what the catalogue no longer holds, or none remain. */
  private async collect(
    catalogue: string,
    input: SearchInput,
    vector: Float32Array,
    signal: AbortSignal,
  ): Promise<{ round: Round; hits: SearchHit[] }> {
    const { category, minScore, exact } = input;
    for (let asked = input.k + SPARE; ; asked = Math.min(asked * 4, MAX_ASKED)) {
      const round = await this.searcher.search({
        catalogue,
        vector,
        k: asked,
        category,
        minScore,
        exact,
        signal,
        deadlineMs: this.deadlineMs,
      });
      const hits = await this.join(catalogue, round.hits, input);
      if (hits.length >= input.k || round.hits.length < asked || asked >= MAX_ASKED) {
        return { round, hits: hits.slice(0, input.k) };
      }
    }
  }

  private async join(catalogue: string, found: Round['hits'], input: SearchInput): Promise<SearchHit[]> {
    const ids = found.map((hit) => hit.id);
    const items = new Map((await this.registry.catalogue.getItems(catalogue, ids)).map((item) => [item.id, item]));
    return found.flatMap(({ id, score }) => {
      const item = items.get(id);
      const isQuery = input.query.kind === 'item' && input.query.id === id;
      const moved = input.category !== undefined && item?.category !== input.category;
      return item === undefined || isQuery || moved ? [] : [toHit(catalogue, item, score)];
    });
  }

  private async servingTable(catalogue: string): Promise<RoutingTable> {
    const table = await this.searcher.currentTable(catalogue);
    if (table !== undefined) return table;
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

function toHit(catalogue: string, item: CatalogueItem, score: number): SearchHit {
  const { id, category, title, attributes } = item;
  return { id, score, category, title, attributes, imageUrl: imagePath(catalogue, item) };
}
