import type { AnnIndex, ExactSpec, Neighbours, ScratchFiles, SearchOptions } from '../../../contracts/ann.ts';
import { encodeIndexFile } from '../index-file.ts';
import type { IndexKindModule } from '../kind.ts';
import { Rows } from '../rows.ts';
import { searchEach } from '../search-each.ts';
import type { Vectors } from '../vectors.ts';

/** Brute force over contiguous rows. */
export class ExactIndex implements AnnIndex {
  readonly spec: ExactSpec;
  readonly #rows: Rows;

  constructor(spec: ExactSpec, vectors: Vectors) {
    this.spec = spec;
    this.#rows = new Rows(vectors, spec.metric);
  }

  get dim(): number {
    return this.#rows.vectors.dim;
  }
  get size(): number {
    return this.#rows.vectors.size;
  }
  get memoryBytes(): number {
    return this.#rows.vectors.kernels.usedBytes;
  }

  search(query: Float32Array, options: SearchOptions): Neighbours {
    return { ...this.#rows.scan(this.#rows.ready(query, options), options), plan: 'scan' };
  }

  searchBatch(queries: Float32Array, options: SearchOptions): Promise<Neighbours[]> {
    return searchEach(this, queries, options);
  }

  vector(row: number): Float32Array {
    return this.#rows.vector(row);
  }

  serialise(_scratch: ScratchFiles): Promise<Uint8Array[]> {
    return encodeIndexFile(this, { vectors: this.#rows.bytes() });
  }
}

export const exact: IndexKindModule<ExactSpec> = {
  bounds: {},
  build(spec, vectors, { onProgress }) {
    onProgress?.(vectors.size);
    return Promise.resolve(new ExactIndex(spec, vectors));
  },
  load: (spec, vectors) => Promise.resolve(new ExactIndex(spec, vectors)),
};
