import type { Metric } from '../../../contracts/ann.ts';
import { clearBit, createBitmap, hasBit, setBit } from '../bitmap.ts';
import { Kernels } from '../kernels/kernels.ts';
import { mergeTopK } from '../merge.ts';
import type { ScoredId } from '../merge.ts';
import { Rows } from '../rows.ts';
import { compareIds } from '../shard-of.ts';
import { prepared } from '../vectors.ts';

/** Slots for which room is made at once: a multiple of 16, so that what is allocated in turn lies in one piece. */
const ROOM_SLOTS = 64;

/** The rows that were live at one moment; searches of it stay the same whatever is added and removed meanwhile. */
export interface SegmentView {
  /** Bit i: slot i may be returned. */
  live: Uint32Array;
  numSlots: number;
}

/**
 * Rows that come and go, each in a slot of its own, all compared with a query. Invariant: a slot whose row was removed is taken
 * again before room is made for another, but never while somebody who may see it holds the segment. Memory is therefore bounded by
 * the most rows that were ever live or held at once, however often they change; it is freed with the segment.
 */
export class AppendSegment {
  readonly #dim: number;
  readonly #metric: Metric;
  #kernels: Kernels | undefined;
  #address = 0;
  #numSlots = 0;
  #numLive = 0;
  #live: Uint32Array = createBitmap(0);
  readonly #ids: string[] = [];
  readonly #free: number[] = [];
  /** Slots of removed rows that a holder may still read. */
  #held: number[] = [];
  #numHolders = 0;
  /** Counts holds; no holder sees what a slot holds since the newest of them began. */
  #epoch = 0;
  /** Of each slot: the epoch in which it was filled. */
  readonly #filledIn: number[] = [];

  constructor(dim: number, metric: Metric) {
    this.#dim = dim;
    this.#metric = metric;
  }

  get numLive(): number {
    return this.#numLive;
  }

  /** Slots that there are, whether their rows live or not. */
  get numSlots(): number {
    return this.#numSlots;
  }

  get memoryBytes(): number {
    return (this.#kernels?.usedBytes ?? 0) + this.#live.byteLength;
  }

  /** Stores a checked vector as the metric compares it. @throws LookalikeError `invalidInput` beyond 4 GiB */
  add(id: string, vector: Float32Array): number {
    if (this.#free.length === 0 && this.#numSlots % ROOM_SLOTS === 0) this.#makeRoom();
    const slot = this.#free.pop() ?? this.#numSlots++;
    this.#ids[slot] = id;
    this.#filledIn[slot] = this.#epoch;
    this.#row(slot).set(prepared(vector, this.#metric));
    setBit(this.#live, slot);
    this.#numLive++;
    return slot;
  }

  /** Stores another vector for the id of a slot; answers its slot, which is another where somebody may still read the old. */
  replace(slot: number, vector: Float32Array): number {
    if (this.#isHeld(slot)) {
      const fresh = this.add(this.#ids[slot]!, vector);
      this.remove(slot);
      return fresh;
    }
    this.#row(slot).set(prepared(vector, this.#metric));
    return slot;
  }

  remove(slot: number): void {
    clearBit(this.#live, slot);
    this.#numLive--;
    (this.#isHeld(slot) ? this.#held : this.#free).push(slot);
  }

  /** A copy of a slot's vector as it is stored. */
  vector(slot: number): Float32Array {
    return Float32Array.from(this.#row(slot));
  }

  /** What is live now, and may be returned. Hold the segment for as long as it is used across an `await`. */
  view(isAllowed?: (id: string) => boolean): SegmentView {
    const live = Uint32Array.from(this.#live);
    if (isAllowed !== undefined) {
      for (let slot = 0; slot < this.#numSlots; slot++) {
        if (hasBit(live, slot) && !isAllowed(this.#ids[slot]!)) clearBit(live, slot);
      }
    }
    return { live, numSlots: this.#numSlots };
  }

  /** Keeps the vectors and ids of all slots as they are until the answered function is called, once. */
  hold(): () => void {
    this.#numHolders++;
    this.#epoch++;
    return () => {
      this.#numHolders--;
      if (this.#numHolders > 0) return;
      this.#free.push(...this.#held);
      this.#held = [];
    };
  }

  /** The `k` best of a view, equal scores by ascending id. The query is checked already. */
  search(query: Float32Array, k: number, { live, numSlots }: SegmentView): ScoredId[] {
    if (this.#kernels === undefined || numSlots === 0) return [];
    const data = this.#kernels.f32(this.#address, numSlots * this.#dim);
    const vectors = { kernels: this.#kernels, address: this.#address, dim: this.#dim, size: numSlots, data };
    const rows = new Rows(vectors, this.#metric);
    const ready = prepared(query, this.#metric);
    // The kernel prefers lower slots among equal scores; ids lie in no order, so all that tie with the last are looked at.
    for (let room = k + 1; ; room *= 2) {
      const { rows: slots, scores } = rows.scan(ready, { k: room, allowed: live });
      if (slots.length === room && scores[room - 1] === scores[k - 1]) continue;
      const found = Array.from(slots, (slot, i) => ({ id: this.#ids[slot]!, score: scores[i]! }));
      return mergeTopK([found], k);
    }
  }

  /** What is live, by ascending id: ids and vectors, f32 [numLive, dim]. */
  contents(): { ids: string[]; vectors: Float32Array } {
    const added: [id: string, slot: number][] = [];
    for (let slot = 0; slot < this.#numSlots; slot++)
      if (hasBit(this.#live, slot)) added.push([this.#ids[slot]!, slot]);
    added.sort(([a], [b]) => compareIds(a, b));
    const vectors = new Float32Array(added.length * this.#dim);
    for (const [i, [, slot]] of added.entries()) vectors.set(this.#row(slot), i * this.#dim);
    return { ids: added.map(([id]) => id), vectors };
  }

  #isHeld(slot: number): boolean {
    return this.#numHolders > 0 && this.#filledIn[slot]! < this.#epoch;
  }

  #row(slot: number): Float32Array {
    return this.#kernels!.f32(this.#address + slot * this.#dim * 4, this.#dim);
  }

  #makeRoom(): void {
    this.#kernels ??= new Kernels();
    const room = this.#kernels.allocate(ROOM_SLOTS * this.#dim * 4);
    if (this.#numSlots === 0) this.#address = room;
    const words = (this.#numSlots + ROOM_SLOTS) / 32;
    if (this.#live.length >= words) return;
    const wider = new Uint32Array(Math.max(words, this.#live.length * 2));
    wider.set(this.#live);
    this.#live = wider;
  }
}
