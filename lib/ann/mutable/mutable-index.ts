import type { AnnBuilder, AnnIndex, AnnMachine, IndexSpec, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { checkBitmap, clearBit, createBitmap, hasBit, setBit } from '../bitmap.ts';
import { mergeTopK } from '../merge.ts';
import type { ScoredId } from '../merge.ts';
import { pause } from '../pause.ts';
import { compareIds } from '../shard-of.ts';
import { checkVector } from '../vectors.ts';
import { AppendSegment } from './append-segment.ts';
import type { SegmentView } from './append-segment.ts';
import { filteredView } from './filtered-view.ts';
import type { IdFilter, View } from './filtered-view.ts';
import { checkId, checkRowIds } from './ids.ts';
import { decodeMutable, encodeMutable } from './mutable-file.ts';

/** What a search found, and how. */
export interface Answer extends Pick<Neighbours, 'plan' | 'visited'> {
  hits: ScoredId[];
}

export type MutableSearchOptions = Omit<SearchOptions, 'allowed'> & { allowed?: IdFilter };

/** Between two pauses, in which an abort or other work can come: queries of a batch, rows of a compaction. */
const PAUSE_QUERIES = 16;
const PAUSE_ROWS = 2048;
/** Of a segment that a search leaves out. */
const NO_ROWS: SegmentView = { live: createBitmap(0), numSlots: 0 };

/**
 * An immutable index that takes changes: what is deleted or replaced is forbidden to it, what is added lies in a segment that is
 * compared in full, and each search merges both. Invariant: an id lives in at most one place, the base or the segment. When the
 * base is exact, so is every answer; else the base finds what its kind finds of the rows that are left. Scores are the base's
 * own: with codes that are not rescored they are approximate beside the segment's. Ids are text and never numbers. Searches slow
 * down with the segment: `compact` when `numInSegment + numDead` has become a part of `size` that is felt.
 */
export class MutableIndex {
  readonly #base: AnnIndex;
  readonly #baseIds: readonly string[];
  readonly #baseLive: Uint32Array;
  #numDead = 0;
  readonly #segment: AppendSegment;
  /** Row of the base, or ~slot of the segment, of each live id. */
  readonly #places = new Map<string, number>();
  /** Of each compaction that is under way: the ids that changed since it began. */
  readonly #changes = new Set<Set<string>>();

  /**
   * @param ids of the base's rows, strictly ascending, so that equal scores are ordered by id in the base too
   * @throws LookalikeError `invalidInput` when there is not one id a row, in order
   */
  constructor(base: AnnIndex, ids: readonly string[]) {
    checkRowIds(ids, base.size);
    this.#base = base;
    this.#baseIds = ids;
    this.#baseLive = createBitmap(base.size);
    this.#segment = new AppendSegment(base.dim, base.spec.metric);
    for (const [row, id] of ids.entries()) {
      setBit(this.#baseLive, row);
      this.#places.set(id, row);
    }
  }

  get spec(): IndexSpec {
    return this.#base.spec;
  }
  get dim(): number {
    return this.#base.dim;
  }
  /** Live ids. */
  get size(): number {
    return this.#places.size;
  }
  /** Live rows in the segment. */
  get numInSegment(): number {
    return this.#segment.numLive;
  }
  /** Rows of the base that no search returns any more. */
  get numDead(): number {
    return this.#numDead;
  }
  /** Of vectors, codes, structure and bitmaps; the ids themselves, which lie on the JavaScript heap, are not counted. */
  get memoryBytes(): number {
    return this.#base.memoryBytes + this.#baseLive.byteLength + this.#segment.memoryBytes;
  }

  has(id: string): boolean {
    return this.#places.has(id);
  }

  /** Adds an item or replaces its vector. @throws LookalikeError `dimensionMismatch` | `nonFinite` | `invalidInput`, with nothing changed */
  upsert(id: string, vector: Float32Array): void {
    checkId(id);
    checkVector(vector, this.dim, `the vector of "${id}"`);
    const place = this.#places.get(id);
    if (place !== undefined && place < 0) {
      this.#places.set(id, ~this.#segment.replace(~place, vector));
    } else {
      const slot = this.#segment.add(id, vector);
      if (place !== undefined) this.#bury(place);
      this.#places.set(id, ~slot);
    }
    this.#changed(id);
  }

  /** The row of the base that an id lives in; undefined when it lives in the segment, or not at all. */
  rowOf(id: string): number | undefined {
    const place = this.#places.get(id);
    return place === undefined || place < 0 ? undefined : place;
  }

  /** @throws LookalikeError `notFound` */
  delete(id: string): void {
    const place = this.#place(id);
    if (place < 0) this.#segment.remove(~place);
    else this.#bury(place);
    this.#places.delete(id);
    this.#changed(id);
  }

  /** A copy of the stored vector: unit length under `cosine`, else as it was given. @throws LookalikeError `notFound` */
  get(id: string): Float32Array {
    return this.#vectorAt(this.#place(id));
  }

  /**
   * The `k` nearest live items, fewer only where fewer are live and allowed; equal scores by ascending id.
   * @throws LookalikeError `dimensionMismatch` | `nonFinite` | `invalidInput` | `cancelled`
   */
  search(query: Float32Array, options: MutableSearchOptions): ScoredId[] {
    return this.answer(query, options).hits;
  }

  /** As `search`, and how: the path of the base, and how many rows were compared where its kind counts them. */
  answer(query: Float32Array, { allowed, ...options }: MutableSearchOptions): Answer {
    const view = this.#view(allowed);
    const { rows, scores, plan, visited } = this.#base.search(query, { ...options, allowed: view.base });
    const hits = this.#merged(query, options.k, view, rows, scores);
    return { hits, plan, ...(visited !== undefined && { visited: visited + this.numInSegment }) };
  }

  /** Of rows of the base (absent: of all), those that searches may still return; absent: all. */
  liveRows(rows: Uint32Array | undefined): Uint32Array | undefined {
    if (rows !== undefined) checkBitmap(rows, this.#base.size);
    if (this.#numDead === 0) return rows;
    return rows?.map((word, i) => word & this.#baseLive[i]!) ?? this.#baseLive;
  }

  /**
   * As `search` for many queries (f32 [numQueries, dim]), all answered from what was live when it was called. One batch at a time.
   * @throws LookalikeError as `search`
   */
  async searchBatch(queries: Float32Array, { allowed, ...options }: MutableSearchOptions): Promise<ScoredId[][]> {
    const { base, segment } = this.#view(allowed);
    // The search of the base takes pauses, in which rows may die.
    const view = { base: base === undefined ? undefined : Uint32Array.from(base), segment };
    const release = this.#segment.hold();
    try {
      const found = await this.#base.searchBatch(queries, { ...options, allowed: view.base });
      const answers: ScoredId[][] = [];
      for (const [i, { rows, scores }] of found.entries()) {
        if (i % PAUSE_QUERIES === 0) await pause(options.signal);
        const query = queries.subarray(i * this.dim, (i + 1) * this.dim);
        answers.push(this.#merged(query, options.k, view, rows, scores));
      }
      return answers;
    } finally {
      release();
    }
  }

  /** The parts of a checksummed file that `load` reads: the base with its ids, and the segment's live rows. */
  serialise(): Promise<Uint8Array[]> {
    const { ids: segmentIds, vectors: segmentVectors } = this.#segment.contents();
    const baseLive = Uint32Array.from(this.#baseLive);
    return encodeMutable({ base: this.#base, baseIds: this.#baseIds, baseLive, segmentIds, segmentVectors });
  }

  /**
   * Another index over the live rows, all in a base that the given builder makes; this one goes on answering and changing, and
   * what changes meanwhile is changed in the new one as well.
   * @throws LookalikeError `cancelled` | what the builder throws; this index stays as it is
   */
  async compact(
    createBuilder: (spec: IndexSpec, dim: number) => AnnBuilder,
    signal?: AbortSignal,
    onProgress?: (rowsDone: number) => void,
  ): Promise<MutableIndex> {
    const changes = new Set<string>();
    this.#changes.add(changes);
    try {
      const builder = createBuilder(this.spec, this.dim);
      const ids = await this.#addAllTo(builder, signal);
      const fresh = new MutableIndex(await builder.build(signal, onProgress), ids);
      for (const id of changes) {
        if (this.has(id)) fresh.upsert(id, this.get(id));
        else if (fresh.has(id)) fresh.delete(id);
      }
      return fresh;
    } finally {
      this.#changes.delete(changes);
    }
  }

  /** Adds what is live now by ascending id; answers the ids. */
  async #addAllTo(builder: AnnBuilder, signal: AbortSignal | undefined): Promise<string[]> {
    const release = this.#segment.hold();
    try {
      const rows = [...this.#places].sort(([a], [b]) => compareIds(a, b));
      for (const [i, [, place]] of rows.entries()) {
        if (i % PAUSE_ROWS === 0) await pause(signal);
        builder.add(this.#vectorAt(place));
      }
      return rows.map(([id]) => id);
    } finally {
      release();
    }
  }

  #place(id: string): number {
    checkId(id);
    const place = this.#places.get(id);
    if (place !== undefined) return place;
    throw new LookalikeError('notFound', `Expected item "${id}" in the index, but it holds no such id.`, { id });
  }

  #vectorAt(place: number): Float32Array {
    return place < 0 ? this.#segment.vector(~place) : this.#base.vector(place);
  }

  #bury(row: number): void {
    clearBit(this.#baseLive, row);
    this.#numDead++;
  }

  #changed(id: string): void {
    for (const changes of this.#changes) changes.add(id);
  }

  #view(allowed: MutableSearchOptions['allowed']): View {
    if (allowed === undefined) return { base: this.liveRows(undefined), segment: this.#segment.view() };
    if ('base' in allowed) {
      const segment = allowed.added === null ? NO_ROWS : this.#segment.view(allowed.added);
      return { base: this.liveRows(allowed.base), segment };
    }
    return filteredView(this.#places, allowed, this.#base.size, this.#segment.numSlots);
  }

  #merged(query: Float32Array, k: number, view: View, rows: Int32Array, scores: Float32Array): ScoredId[] {
    const fromBase = Array.from(rows, (row, i) => ({ id: this.#baseIds[row]!, score: scores[i]! }));
    return mergeTopK([fromBase, this.#segment.search(query, k, view.segment)], k);
  }

  /** Reads what `serialise` wrote. @throws LookalikeError `corruptArtifact` */
  static async load(file: Uint8Array, machine?: AnnMachine): Promise<MutableIndex> {
    const { base, baseIds, baseLive, segmentIds, segmentVectors } = await decodeMutable(file, machine);
    const index = new MutableIndex(base, baseIds);
    for (const [row, id] of baseIds.entries()) if (!hasBit(baseLive, row)) index.delete(id);
    for (const [i, id] of segmentIds.entries()) {
      index.upsert(id, segmentVectors.subarray(i * base.dim, (i + 1) * base.dim));
    }
    return index;
  }
}
