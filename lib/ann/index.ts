import type { AnnBuilder, AnnIndex, IndexSpec, ScratchFiles } from '../../contracts/ann.ts';
import { assertNever, LookalikeError } from '../../contracts/errors.ts';
import { ExactIndex } from './exact.ts';
import { buildHnsw, loadHnsw } from './hnsw.ts';
import { decodeIndexFile } from './index-file.ts';
import { throwIfAborted } from './scan.ts';
import { checkSpec } from './spec.ts';
import { VectorCollector } from './vectors.ts';
import type { Vectors } from './vectors.ts';

export { createBitmap, setBit } from './bitmap.ts';

/**
 * Starts an index of `dim` dimensions.
 * @throws LookalikeError `invalidInput` when the spec or the dimension is not usable
 */
export function createBuilder(spec: IndexSpec, dim: number): AnnBuilder {
  checkSpec(spec);
  const rows = new VectorCollector(dim, spec.metric);
  return {
    add: (vector) => rows.add(vector),
    size: () => rows.size,
    async build(signal, onProgress) {
      throwIfAborted(signal);
      const vectors = rows.finish();
      switch (spec.kind) {
        case 'exact':
          onProgress?.(vectors.size);
          return new ExactIndex(spec, vectors);
        case 'hnsw':
          return buildHnsw(spec, vectors, signal, onProgress);
        default:
          return assertNever(spec);
      }
    },
  };
}

/**
 * Reads what `serialise` wrote. The index keeps views of `file`, which must not change afterwards.
 * @throws LookalikeError `corruptArtifact`
 */
export async function loadIndex(file: Uint8Array, scratch: ScratchFiles): Promise<AnnIndex> {
  const { spec, dim, size, section } = await decodeIndexFile(file);
  const vectors = vectorsOf(section('vectors'), dim, size);
  switch (spec.kind) {
    case 'exact':
      return new ExactIndex(spec, vectors);
    case 'hnsw':
      return loadHnsw(spec, vectors, () => section('graph'), scratch);
    default:
      return assertNever(spec);
  }
}

function vectorsOf(bytes: Uint8Array, dim: number, size: number): Vectors {
  if (bytes.length !== size * dim * 4) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected ${size} x ${dim} vectors, got ${bytes.length} bytes of them.`,
    );
  }
  // Sections start at multiples of 64; only a file held at an odd address of a larger buffer needs a copy.
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return { data: new Float32Array(aligned.buffer, aligned.byteOffset, size * dim), dim, size };
}
