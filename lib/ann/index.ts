import type { AnnBuilder, AnnIndex, AnnMachine, IndexSpec } from '../../contracts/ann.ts';
import { decodeIndexFile } from './index-file.ts';
import { KIND_NAMES, kindOf } from './kinds.ts';
import type { IndexKindModule } from './kind.ts';
import { throwIfAborted } from './rows.ts';
import { checkSpec } from './spec.ts';
import { placedVectors, VectorCollector } from './vectors.ts';

export { createBitmap, setBit } from './bitmap.ts';
export { INDEX_FILE_VERSION } from './index-file.ts';

/**
 * Starts an index of `dim` dimensions.
 * @throws LookalikeError `invalidInput` when the spec or the dimension is not usable
 */
export function createBuilder(spec: IndexSpec, dim: number, machine: AnnMachine = {}): AnnBuilder {
  const rows = new VectorCollector(dim, spec.metric);
  const kind = checkedKind(spec, dim);
  return {
    add: (vector) => rows.add(vector),
    size: () => rows.size,
    build(signal, onProgress) {
      throwIfAborted(signal);
      return kind.build(spec, rows.finish(), { machine, signal, onProgress });
    },
  };
}

/**
 * Reads what `serialise` wrote.
 * @throws LookalikeError `corruptArtifact`
 */
export async function loadIndex(file: Uint8Array, machine: AnnMachine = {}): Promise<AnnIndex> {
  const { spec, dim, size, section } = await decodeIndexFile(file, checkedKind);
  const vectors = await placedVectors(section('vectors'), dim, size);
  return checkedKind(spec, dim).load(spec, vectors, { machine, section });
}

function checkedKind(spec: IndexSpec, dim: number): IndexKindModule<IndexSpec> {
  const kind = kindOf(spec);
  checkSpec(spec, kind, KIND_NAMES);
  kind!.check?.(spec, dim);
  return kind!;
}
