import type { DeltaStatus } from '../../contracts/changes.ts';
import type { ShardFacet } from '../../contracts/facets.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { ShardSearchExplanation } from '../../contracts/serving.ts';
import { createBitmap, hasBit, setBit } from '../../lib/ann/bitmap.ts';
import { mergeTopK } from '../../lib/ann/merge.ts';
import type { ScoredId } from '../../lib/ann/merge.ts';
import { MutableIndex } from '../../lib/ann/mutable/mutable-index.ts';
import { shardFacet } from '../../lib/filters/facets.ts';
import { matchesFilter } from '../../lib/filters/matches-filter.ts';
import { textsOf } from '../../lib/filters/values.ts';
import type { Shard, ShardQuery } from './shard.ts';

/** Rows of one turn of a search in the background: a few milliseconds. */
const TURN_ROWS = 16_384;

/** What became of an item of a shard since the shard was built. */
export type ShardChange =
  | { kind: 'delete'; id: string }
  | {
      kind: 'put';
      id: string;
      category: string | null;
      attributes: JsonObject;
      /** `kept`: the one that the shard has; null: the picture cannot be used, so the item is not found. */
      vector: Float32Array | 'kept' | null;
    };

type Put = Extract<ShardChange, { kind: 'put' }>;

export interface LiveShardQuery extends ShardQuery {
  /** Only items that changed since the shard was built. */
  changedOnly?: boolean;
}

/**
 * A shard and what changed since it was built. Invariant: an item is found by its newest row alone, with its newest category and
 * attributes; what was deleted is not found.
 */
export class LiveShard {
  readonly shard: Shard;
  readonly #index: MutableIndex;
  /** Of items in the mutable index's segment: what they are filtered by. */
  readonly #added = new Map<string, { category: string | null; attributes: JsonObject }>();
  /** Rows whose items changed but for their vectors. */
  readonly #relabelled = new Set<number>();
  #searchableSeq = 0;
  #numWaiting = 0;

  constructor(shard: Shard) {
    this.shard = shard;
    this.#index = new MutableIndex(shard.index, shard.ids);
  }

  get size(): number {
    return this.#index.size;
  }

  get status(): DeltaStatus {
    return {
      searchableSeq: this.#searchableSeq,
      numWaiting: this.#numWaiting,
      numRows: this.#index.numInSegment + this.#relabelled.size,
    };
  }

  /** All at once, between two searches. */
  apply(changes: readonly ShardChange[], { searchableSeq, numWaiting }: Omit<DeltaStatus, 'numRows'>): void {
    for (const change of changes) {
      if (change.kind === 'delete' || change.vector === null) this.#drop(change.id);
      else if (change.vector !== 'kept') this.#add(change, change.vector);
      else this.#relabel(change);
    }
    this.#searchableSeq = searchableSeq;
    this.#numWaiting = numWaiting;
  }

  /** Best first. @throws LookalikeError as `Shard.search` */
  search(query: LiveShardQuery): ScoredId[] {
    return this.answer(query).hits;
  }

  /** As `search`, and how it was found. */
  answer(query: LiveShardQuery): { hits: ScoredId[]; explanation: ShardSearchExplanation } {
    const { vector, category, filter, k, exact, signal, changedOnly = false, ...effort } = query;
    const options = { k, exact, signal, ...this.shard.effortFor(effort) };
    const rows = this.shard.filters.select(category, filter);
    const base = changedOnly ? this.#onlyRelabelled(rows) : rows;
    const allowed = base && { base, added: this.#isAdded({ category, filter }) };
    const { hits, ...how } = this.#index.answer(vector, { ...options, allowed });
    return { hits, explanation: { spec: this.shard.index.spec, ...how } };
  }

  /**
   * As `search` with `exact`, in turns of a few milliseconds with `pause` between them, so that others are answered meanwhile. What changes
   * between two turns may be missed. @throws LookalikeError as `search`, and what `pause` throws
   */
  async searchInTurns(
    { vector, k, category, filter }: Pick<LiveShardQuery, 'vector' | 'k' | 'category' | 'filter'>,
    pause: () => Promise<void>,
  ): Promise<ScoredId[]> {
    const wanted = this.shard.filters.select(category, filter);
    const numRows = this.shard.ids.length;
    const inSegment = { base: createBitmap(numRows), added: this.#isAdded({ category, filter }) };
    let best = this.#index.search(vector, { k, exact: true, allowed: inSegment });
    for (let from = 0; from < numRows; from += TURN_ROWS) {
      if (from > 0) await pause();
      const base = rowRange(from, Math.min(numRows, from + TURN_ROWS), numRows, wanted);
      const found = this.#index.search(vector, { k, exact: true, allowed: { base, added: null } });
      best = mergeTopK([best, found], k);
    }
    return best;
  }

  /**
   * In the order asked, counts of the values of `category` or of attributes, over all items that a search with this category and filter may find.
   * @throws LookalikeError `conflict` when the shard was built before attributes were kept
   */
  facets(names: readonly string[], among: Pick<ShardQuery, 'category' | 'filter'>): ShardFacet[] {
    const isAdded = this.#isAdded(among);
    const added = [...this.#added].filter(([id]) => isAdded(id)).map(([, item]) => item);
    const wanted = this.shard.filters.select(among.category, among.filter);
    const counted = this.shard.filters.count(names, this.#index.liveRows(wanted));
    return names.map((name, i) => {
      const counts = new Map(counted[i]);
      for (const { category, attributes } of added) {
        const own = name === 'category' ? category : Object.hasOwn(attributes, name) ? attributes[name] : null;
        for (const value of new Set(textsOf(own))) counts.set(value, (counts.get(value) ?? 0) + 1);
      }
      return shardFacet(counts);
    });
  }

  /** Of items in the segment. */
  #isAdded({ category, filter = {} }: Pick<ShardQuery, 'category' | 'filter'>): (id: string) => boolean {
    return (id) => {
      const item = this.#added.get(id)!;
      return (category === undefined || item.category === category) && matchesFilter(filter, item.attributes);
    };
  }

  /** Stored vectors by item id; ids that are not here are left out. */
  vectors(ids: readonly string[]): Map<string, Float32Array> {
    return new Map(ids.filter((id) => this.#index.has(id)).map((id) => [id, this.#index.get(id)]));
  }

  #drop(id: string): void {
    this.#leaveRow(id);
    if (this.#index.has(id)) this.#index.delete(id);
    this.#added.delete(id);
  }

  #add({ id, category, attributes }: Put, vector: Float32Array): void {
    this.#leaveRow(id);
    this.#index.upsert(id, vector);
    this.#added.set(id, { category, attributes });
  }

  /** Before an item that lives in a row of the shard lives there no more. */
  #leaveRow(id: string): void {
    const row = this.#index.rowOf(id);
    if (row !== undefined) this.#relabelled.delete(row);
  }

  /** Where the vector stays, so does the row: prices and stock may change by the thousand and no search gets slower. */
  #relabel({ id, category, attributes }: Put): void {
    const row = this.#index.rowOf(id);
    if (row !== undefined) {
      this.shard.filters.replace(row, { category, attributes });
      this.#relabelled.add(row);
    } else if (this.#index.has(id)) this.#added.set(id, { category, attributes });
  }

  #onlyRelabelled(rows: Uint32Array | undefined): Uint32Array {
    const bitmap = createBitmap(this.shard.ids.length);
    for (const row of this.#relabelled) if (rows === undefined || hasBit(rows, row)) setBit(bitmap, row);
    return bitmap;
  }
}

/** The rows [from, to) that are allowed. */
function rowRange(from: number, to: number, size: number, allowed: Uint32Array | undefined): Uint32Array {
  const range = createBitmap(size);
  for (let row = from; row < to; row++) if (allowed === undefined || hasBit(allowed, row)) setBit(range, row);
  return range;
}
