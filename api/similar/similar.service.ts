import { Inject, Injectable } from '@nestjs/common';
import type { SearchEffort } from '../../contracts/ann.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { SimilarAnswer, SimilarConfig, SimilarList } from '../../contracts/similar.ts';
import { foundItem } from '../catalogue/found-item.ts';
import { itemNotFound, requireCatalogue } from '../catalogue/item-not-found.ts';
import { REGISTRY, SEARCHER, SIMILAR, SIMILAR_STARTER } from '../ports.ts';
import type { ApiPorts, RetrainStarted, Searcher, SimilarStarter } from '../ports.ts';
import { SearchService } from '../search/search.service.ts';

interface Wanted {
  k: number;
  withinCategory: boolean;
  /** Of a search now; what was found in advance was found with the effort that the index was built with. */
  effort: SearchEffort;
}

/** Answers "what looks like this item?", at once where a batch has found it in advance. */
@Injectable()
export class SimilarService {
  private readonly registry: Registry;
  private readonly searcher: Searcher;
  private readonly search: SearchService;
  private readonly reader: ApiPorts['similar'];
  private readonly starter: SimilarStarter;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(SearchService) search: SearchService,
    @Inject(SIMILAR) reader: ApiPorts['similar'],
    @Inject(SIMILAR_STARTER) starter: SimilarStarter,
  ) {
    this.registry = registry;
    this.searcher = searcher;
    this.search = search;
    this.reader = reader;
    this.starter = starter;
  }

  async start(catalogue: string, config: SimilarConfig): Promise<RetrainStarted> {
    await requireCatalogue(this.registry.catalogue, catalogue);
    return this.starter.start(catalogue, config);
  }

  /** @throws LookalikeError as `SearchService.search` */
  async similar(
    catalogue: string,
    id: string,
    { live, ...wanted }: Wanted & { live: boolean },
    signal: AbortSignal,
  ): Promise<SimilarAnswer> {
    const item = await this.requireItem(catalogue, id);
    const table = live ? undefined : await this.searcher.currentTable(catalogue);
    const inAdvance = table && (await this.fromBatch(table, id, wanted));
    return inAdvance ?? this.now(catalogue, item, wanted, signal);
  }

  /** Undefined when the batch of this index is not finished, does not hold the item, or was asked for something else. */
  private async fromBatch(
    table: RoutingTable,
    id: string,
    { k, withinCategory }: Wanted,
  ): Promise<SimilarAnswer | undefined> {
    const { catalogue, generation, model } = table;
    const index = (await this.registry.generations.get(catalogue, generation))?.index ?? null;
    const artifact = index === null ? undefined : await this.registry.similar.of(catalogue, index);
    if (index === null || artifact === undefined) return undefined;
    const list = await this.reader.lookup(artifact, id);
    if (list === undefined || k > list.k || withinCategory !== list.withinCategory) return undefined;
    const items = await this.itemsOf(catalogue, list);
    const hits = list.neighbours.flatMap(({ id: found, score }) => {
      const item = items.get(found);
      return item === undefined ? [] : [{ ...foundItem(catalogue, item), score }];
    });
    // Items deleted since are left out; where too few are left, a search finds the next ones.
    const isAll = list.isWhole && hits.length === list.neighbours.length;
    if (hits.length < k && !isAll) return undefined;
    const nearDuplicates = list.nearDuplicates.flatMap((found) => {
      const item = items.get(found);
      return item === undefined ? [] : [foundItem(catalogue, item)];
    });
    return { hits: hits.slice(0, k), nearDuplicates, source: 'batch', withinCategory, generation, model, index };
  }

  private async itemsOf(catalogue: string, list: SimilarList): Promise<Map<string, CatalogueItem>> {
    const ids = [...list.neighbours.map((neighbour) => neighbour.id), ...list.nearDuplicates];
    const items = await this.registry.catalogue.getItems(catalogue, ids);
    return new Map(items.map((item) => [item.id, item]));
  }

  private async requireItem(catalogue: string, id: string): Promise<CatalogueItem> {
    const [item] = await this.registry.catalogue.getItems(catalogue, [id]);
    if (item !== undefined) return item;
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw itemNotFound(catalogue, id);
  }

  private async now(
    catalogue: string,
    { id, category }: CatalogueItem,
    { k, withinCategory, effort }: Wanted,
    signal: AbortSignal,
  ): Promise<SimilarAnswer> {
    const query = { kind: 'item', id } as const;
    const filter = withinCategory && category !== null ? { category } : {};
    const answer = await this.search.search(
      catalogue,
      { query, k, ...filter, ...effort, exact: false, allowPartial: false },
      signal,
    );
    const { hits, generation, model, index } = answer;
    return { hits, nearDuplicates: [], source: 'live', withinCategory, generation, model, index };
  }
}
