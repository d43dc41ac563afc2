import type { IndexKind, IndexSpec } from '../../contracts/ann.ts';
import { deepHash } from './deep-hash/deep-hash.ts';
import { exact } from './exact/exact.ts';
import { hnsw } from './hnsw/hnsw.ts';
import { ivf } from './ivf/ivf.ts';
import { kdTree } from './kd-tree/kd-tree.ts';
import type { IndexKindModule } from './kind.ts';
import { lsh } from './lsh/lsh.ts';

const KINDS: { readonly [K in IndexKind]: IndexKindModule<Extract<IndexSpec, { kind: K }>> } = {
  deepHash,
  exact,
  hnsw,
  ivf,
  kdTree,
  lsh,
};

/** The module of a spec's kind; `undefined` for a kind that is not known. */
export function kindOf(spec: IndexSpec): IndexKindModule<IndexSpec> | undefined {
  // One entry serves exactly the specs of its kind; the type system cannot follow an index by a union.
  return (KINDS as Partial<Record<string, unknown>>)[spec.kind] as IndexKindModule<IndexSpec> | undefined;
}

export const KIND_NAMES = Object.keys(KINDS) as IndexKind[];
