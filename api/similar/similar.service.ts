import { Inject, Injectable } from '@nestjs/common';
import type { SearchEffort } from '../../contracts/ann.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { SimilarAnswer, SimilarConfig } from '../../contracts/similar.ts';
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

/** A search of what changed since the index was built: little. */
const CHANGED_DEADLINE_MS = 2_000;

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
    const inAdvance = table && (await this.fromBatch(table, item, wanted, signal));
    return inAdvance ?? this.now(catalogue, item, wanted, signal);
  }

  /**
   * Undefined when the batch of this index is not finished, does not hold the item as it is, or was asked for something else. What changed
   * since the index was built is looked up or searched and merged, so that the answer is of now.
   */
  private async fromBatch(
    table: RoutingTable,
    { id, category }: CatalogueItem,
    { k, withinCategory }: Wanted,
    signal: AbortSignal,
  ): Promise<SimilarAnswer | undefined> {
    const { catalogue, generation, model } = table;
    const { index = null, snapshot = '' } = (await this.registry.generations.get(catalogue, generation)) ?? {};
    const artifact = index === null ? undefined : await this.registry.similar.of(catalogue, index);
    if (index === null || artifact === undefined) return undefined;
    const list = await this.reader.lookup(artifact, id);
    if (list === undefined || k > list.k || withinCategory !== list.withinCategory) return undefined;
    const since = await this.changedSince(catalogue, snapshot);
    const within = withinCategory && category !== null ? category : undefined;
    const fresh = since === null ? [] : await this.changedNeighbours(table, id, { k, category: within }, signal);
    if (fresh === undefined) return undefined;
    const ids = [id, ...[...list.neighbours, ...fresh].map((neighbour) => neighbour.id), ...list.nearDuplicates];
    const items = new Map((await this.registry.catalogue.getItems(catalogue, ids)).map((item) => [item.id, item]));
    // What was found for another picture is no answer for this one.
    const repictured = since === null ? new Set() : await this.registry.changes.repictured(catalogue, ids, since);
    if (repictured.has(id)) return undefined;
    const asListed = (found: string): CatalogueItem[] => {
      const item = items.get(found);
      const isOut = item === undefined || repictured.has(found) || (within !== undefined && item.category !== within);
      return isOut ? [] : [item];
    };
    const kept = list.neighbours.flatMap(({ id: found, score }) => asListed(found).map((item) => ({ item, score })));
    // Items deleted or changed since are left out; where too few are left, a search finds the next ones.
    const isAll = list.isWhole && kept.length === list.neighbours.length;
    if (kept.length < k && !isAll) return undefined;
    const listed = new Set([id, ...kept.map(({ item }) => item.id)]);
    const changed = fresh.flatMap(({ id: found, score }) => {
      const item = items.get(found);
      return item === undefined || listed.has(found) ? [] : [{ item, score }];
    });
    const best = [...kept, ...changed].sort((a, b) => b.score - a.score).slice(0, k);
    const hits = best.map(({ item, score }) => ({ ...foundItem(catalogue, item), score }));
    const nearDuplicates = list.nearDuplicates.flatMap(asListed).map((item) => foundItem(catalogue, item));
    return { hits, nearDuplicates, source: 'batch', withinCategory, generation, model, index };
  }

  /** The number from which on changes are not in the snapshot; null where nothing has changed. */
  private async changedSince(catalogue: string, snapshot: string): Promise<number | null> {
    const { changes } = this.registry;
    const [last, since] = await Promise.all([changes.lastSeq(catalogue), changes.snapshotSeq(catalogue, snapshot)]);
    return last > since ? since : null;
  }

  /** Those that no batch knows; undefined when another generation came to serve meanwhile, or the item itself is not searched yet. */
  private async changedNeighbours(
    table: RoutingTable,
    id: string,
    { k, category }: { k: number; category: string | undefined },
    signal: AbortSignal,
  ): Promise<{ id: string; score: number }[] | undefined> {
    const stored = await this.searcher.vectorOf(table, id, signal);
    if (stored === undefined) return undefined;
    const { hits, table: answered } = await this.searcher.search({
      ...{ catalogue: table.catalogue, k: k + 1, category, changedOnly: true, signal, deadlineMs: CHANGED_DEADLINE_MS },
      vector: () => Promise.resolve(stored),
    });
    return answered.generation === table.generation ? hits : undefined;
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
