import type { IndexSpec, Metric, SearchOptions } from '../../contracts/ann.ts';

/** A way to build an index, and the one parameter by which its searches look harder. */
export interface AutoCandidate {
  spec: IndexSpec;
  /** Its name in the spec, and values from little to much; absent: every search finds the same. */
  effort?: { name: keyof SearchOptions; values: readonly number[] };
}

/** Above this an exact tree visits nearly all rows (Weber, Schek and Blott 1998, sec. 4). */
const MAX_TREE_DIM = 16;

/** Of product codes: as many sub-vectors as the library takes. */
export const MAX_PARTS = 256;

/**
 * What is tried for `numRows` rows; the first is exact, which finds all. Not lsh and deepHash, which would make the choice take
 * longer and not win: at recall 0.95 on clustered rows (about 20,000 of 32, 128 and 512 dimensions) the lists of ivf answered 2 to 12
 * times sooner than the best lsh and 1.7 to 4 times sooner than the best deepHash, and take 8 bytes a row and the centroids where
 * the codes take 16.
 */
export function autoCandidates(numRows: number, dim: number, metric: Metric, seed: number): AutoCandidate[] {
  const numLists = Math.max(1, Math.min(Math.round(4 * Math.sqrt(numRows)), Math.floor(numRows / 39)));
  const graph = { kind: 'hnsw', metric, efConstruction: 200, efSearch: 64, seed } as const;
  const walks = { name: 'efSearch', values: [16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512] } as const;
  const probes = [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128];
  return [
    { spec: { kind: 'exact', metric } },
    { spec: { kind: 'exact', metric, storage: 'int8' }, effort: { name: 'rescore', values: [1, 2, 4, 8] } },
    { spec: { ...graph, m: 16 }, effort: walks },
    { spec: { ...graph, m: 32 }, effort: walks },
    {
      spec: { kind: 'ivf', metric, numLists, nprobe: 8, codes: { kind: 'flat' }, rescore: 0, seed },
      effort: { name: 'nprobe', values: probes.filter((nprobe) => nprobe <= numLists) },
    },
    {
      spec: {
        ...{ kind: 'ivf', metric, numLists, nprobe: 8, rescore: 8, seed },
        codes: { kind: 'pq', m: divisorUpTo(dim, Math.min(MAX_PARTS, dim / 2)), bits: 4, opq: false },
      },
      effort: { name: 'nprobe', values: probes.filter((nprobe) => nprobe <= numLists) },
    },
    ...(dim <= MAX_TREE_DIM
      ? [{ spec: { kind: 'kdTree', metric, trees: 1, leafSize: 16, checks: 0, seed } } as const]
      : []),
  ];
}

/** The largest divisor of `dim` that is at most `most`: how many parts a vector can be cut into. */
export function divisorUpTo(dim: number, most: number): number {
  let parts = Math.max(1, Math.floor(most));
  while (dim % parts !== 0) parts--;
  return parts;
}
