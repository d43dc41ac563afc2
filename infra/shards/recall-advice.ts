import type { IndexSpec } from '../../contracts/ann.ts';

/** What to change of an index that finds too few of the true neighbours, the cheapest first. */
export function recallAdvice(spec: IndexSpec): string {
  switch (spec.kind) {
    case 'exact':
      return 'An exact index finds all neighbours: ask for at most 1.';
    case 'hnsw':
      return `Raise efSearch (now ${spec.efSearch}), then efConstruction (${spec.efConstruction}) and m (${spec.m}); then try storage float32 (now ${spec.storage ?? 'int8'}), or use exact.`;
    case 'ivf': {
      const codes = spec.codes.kind === 'flat' ? '' : `, rescore (${spec.rescore})`;
      return `Raise nprobe (now ${spec.nprobe}; 0 stands for the root of the number of lists)${codes}, or use hnsw.`;
    }
    case 'kdTree':
      return spec.checks === 0
        ? 'A single tree without checks finds all neighbours: ask for at most 1.'
        : `Raise checks (now ${spec.checks}), then trees (${spec.trees}); above some 30 dimensions use hnsw.`;
    case 'deepHash':
      return `Raise rescore (now ${spec.rescore}), then bits (${spec.bits}, at most 256), or use hnsw.`;
    case 'lsh':
      return `Raise probes (now ${spec.probes}), then tables (${spec.tables}), or lower bits (${spec.bits}).`;
  }
}
