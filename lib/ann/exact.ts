import type { AnnIndex, IndexSpec, Neighbours, ScratchFiles, SearchOptions } from '../../contracts/ann.ts';
import { checkBitmap } from './bitmap.ts';
import { scoreOf } from './distance.ts';
import type { Score } from './distance.ts';
import { encodeIndexFile } from './index-file.ts';
import { scan } from './scan.ts';
import { checkSearch } from './spec.ts';
import { checkVector, prepared } from './vectors.ts';
import type { Vectors } from './vectors.ts';

/** Brute force over contiguous rows. Also the base of the approximate kinds, which answer `exact` queries with it. */
export class ExactIndex implements AnnIndex {
  readonly spec: IndexSpec;
  readonly vectors: Vectors;
  readonly score: Score;

  constructor(spec: IndexSpec, vectors: Vectors) {
    this.spec = spec;
    this.vectors = vectors;
    this.score = scoreOf(spec.metric);
  }

  get dim(): number {
    return this.vectors.dim;
  }

  get size(): number {
    return this.vectors.size;
  }

  search(query: Float32Array, options: SearchOptions): Neighbours {
    const ready = this.ready(query, options);
    return { ...scan(this.vectors, this.score, ready, options), plan: 'scan' };
  }

  /** The checked query as the metric compares it. */
  ready(query: Float32Array, options: SearchOptions): Float32Array {
    checkSearch(options);
    checkBitmap(options.allowed, this.size);
    checkVector(query, this.dim, 'the query');
    return prepared(query, this.spec.metric);
  }

  vector(row: number): Float32Array {
    return this.vectors.data.slice(row * this.dim, (row + 1) * this.dim);
  }

  serialise(_scratch: ScratchFiles): Promise<Uint8Array[]> {
    return encodeIndexFile(this, { vectors: vectorBytes(this.vectors) });
  }
}

/** The rows as little-endian bytes, without a copy. */
export function vectorBytes({ data }: Vectors): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
