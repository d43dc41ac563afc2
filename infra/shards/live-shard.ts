import type { DeltaStatus } from '../../contracts/changes.ts';
import type { JsonObject } from '../../contracts/json.ts';
import { createBitmap } from '../../lib/ann/bitmap.ts';
import type { ScoredId } from '../../lib/ann/merge.ts';
import { MutableIndex } from '../../lib/ann/mutable/mutable-index.ts';
import { matchesFilter } from '../../lib/filters/matches-filter.ts';
import type { Shard, ShardQuery } from './shard.ts';

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
  readonly #changed = new Map<string, { category: string | null; attributes: JsonObject }>();
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
      numRows: this.#index.numInSegment,
    };
  }

  /** All at once, between two searches. */
  apply(changes: readonly ShardChange[], { searchableSeq, numWaiting }: Omit<DeltaStatus, 'numRows'>): void {
    for (const change of changes) {
      const isHere = this.#index.has(change.id);
      const vector = change.kind === 'delete' ? null : change.vector;
      if (vector === null || (vector === 'kept' && !isHere) || change.kind === 'delete') {
        if (isHere) this.#index.delete(change.id);
        this.#changed.delete(change.id);
        continue;
      }
      const { id, category, attributes } = change;
      this.#index.upsert(id, vector === 'kept' ? this.#index.get(id) : vector);
      this.#changed.set(id, { category, attributes });
    }
    this.#searchableSeq = searchableSeq;
    this.#numWaiting = numWaiting;
  }

  /** Best first. @throws LookalikeError as `Shard.search` */
  search(query: LiveShardQuery): ScoredId[] {
    const { vector, category, filter, k, exact, signal, changedOnly = false, ...effort } = query;
    const options = { k, exact, signal, ...this.shard.effortFor(effort) };
    const base = changedOnly ? createBitmap(this.shard.ids.length) : this.shard.allowedBy({ category, filter });
    if (base === undefined) return this.#index.search(vector, options);
    const added = (id: string): boolean => {
      const item = this.#changed.get(id)!;
      return (category === undefined || item.category === category) && matchesFilter(filter ?? {}, item.attributes);
    };
    return this.#index.search(vector, { ...options, allowed: { base, added } });
  }

  /** Stored vectors by item id; ids that are not here are left out. */
  vectors(ids: readonly string[]): Map<string, Float32Array> {
    return new Map(ids.filter((id) => this.#index.has(id)).map((id) => [id, this.#index.get(id)]));
  }
}
