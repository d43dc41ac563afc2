import type {
  DeepHashSpec,
  ExactSpec,
  HnswSpec,
  IndexSpec,
  IvfSpec,
  KdTreeSpec,
  LshSpec,
  Metric,
} from '../../contracts/ann.ts';
import { divisorUpTo, MAX_PARTS } from '../../lib/ann/auto-candidates.ts';
import { KIND_NAMES } from '../../lib/ann/kinds.ts';
import type { Effort } from './contender.ts';
import type { PeerBuild } from './peers.ts';

/** What a sweep is cut to. */
export interface Shape {
  numRows: number;
  dim: number;
  metric: Metric;
  seed: number;
  /** Fewer builds, fewer efforts. */
  quick: boolean;
}

type AnySpec = ExactSpec | HnswSpec | IvfSpec | KdTreeSpec | LshSpec | DeepHashSpec;
export type SweptKind = AnySpec['kind'];

/** One index of ours, and the peers that are built and asked beside it. */
export interface Comparison<S = IndexSpec> {
  /** The curve it belongs to: `ivf pq`, `exact int8`. */
  name: string;
  spec: S;
  efforts: readonly Effort[];
  peers: readonly PeerBuild[];
  /** `work`: ratios against a peer that compares codes as long, whatever both find. Default: at equal recall. */
  ratio?: 'work';
}

type Sweep<S> = (shape: Shape) => Comparison<S>[];

/** What is tried of each kind; a kind is swept as soon as the library has it. */
const SWEEPS: { readonly [K in SweptKind]: Sweep<Extract<AnySpec, { kind: K }>> } = {
  exact: sweepExact,
  hnsw: sweepHnsw,
  ivf: sweepIvf,
  kdTree: sweepKdTree,
  lsh: sweepLsh,
  deepHash: sweepDeepHash,
};

/** Kinds that can be swept, in the order of the table. */
export const SWEPT_KINDS = (Object.keys(SWEEPS) as SweptKind[]).filter((kind) =>
  (KIND_NAMES as readonly string[]).includes(kind),
);

/** All comparisons of the kinds, in order. */
export function comparisonsOf(kinds: readonly SweptKind[], shape: Shape): Comparison[] {
  return kinds.flatMap((kind) => {
    const all: Comparison<AnySpec>[] = SWEEPS[kind](shape);
    return all.flatMap(({ spec, ...rest }) => (isBuildable(spec) ? [{ ...rest, spec }] : []));
  });
}

/** The exact KD-tree of the dimension sweep; `undefined` while the library has none. */
export function exactTreeSpec(seed: number): IndexSpec | undefined {
  const spec: AnySpec = { kind: 'kdTree', metric: 'l2', trees: 1, leafSize: 16, checks: 0, seed };
  return [spec as AnySpec].find(isBuildable);
}

function isBuildable(spec: AnySpec): spec is IndexSpec {
  return (KIND_NAMES as readonly string[]).includes(spec.kind);
}

/** `name` at each of the values; every second one when quick. */
function efforts(quick: boolean, name: string, values: readonly number[], fixed: Effort = {}): Effort[] {
  return values.filter((_, i) => !quick || i % 2 === 0).map((value) => ({ ...fixed, [name]: value }));
}

function sweepExact({ metric, quick }: Shape): Comparison<ExactSpec>[] {
  const flat = (factory: string): PeerBuild => ({
    name: `faiss ${factory}`,
    library: 'faiss',
    factory,
    efforts: [{}],
  });
  const rescores = efforts(quick, 'rescore', [1, 2, 4]);
  return [
    { name: 'exact', spec: { kind: 'exact', metric }, efforts: [{}], peers: [flat('Flat')] },
    {
      name: 'exact float16',
      spec: { kind: 'exact', metric, storage: 'float16', rescore: 2 },
      efforts: rescores,
      peers: [flat('Flat'), flat('SQfp16')],
    },
    {
      name: 'exact int8',
      spec: { kind: 'exact', metric, storage: 'int8', rescore: 2 },
      efforts: rescores,
      peers: [flat('Flat'), flat('SQ8')],
    },
  ];
}

function sweepHnsw({ metric, seed, quick }: Shape): Comparison<HnswSpec>[] {
  const tried = efforts(quick, 'efSearch', [10, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512]);
  const graphs = [
    { name: 'hnsw m=16', storage: 'float32', m: 16, efConstruction: 200 },
    { name: 'hnsw m=16 int8', storage: 'int8', m: 16, efConstruction: 200 },
    { name: 'hnsw m=32', storage: 'float32', m: 32, efConstruction: 200 },
  ] as const;
  return graphs.slice(0, quick ? 1 : undefined).map(({ name, storage, m, efConstruction }) => ({
    name,
    spec: { kind: 'hnsw', metric, storage, m, efConstruction, efSearch: 64, seed },
    efforts: tried,
    peers: [
      { name: 'hnswlib', library: 'hnswlib', m, efConstruction, seed, efforts: tried },
      { name: 'faiss HNSW', library: 'faiss', factory: `HNSW${m}`, efConstruction, efforts: tried },
    ],
  }));
}

/** About 4 sqrt(n), as faiss's guide advises, and at least 39 rows for each centre to be learnt from. */
export function numListsFor(numRows: number): number {
  const wanted = 2 ** Math.round(Math.log2(4 * Math.sqrt(numRows)));
  return Math.max(1, Math.min(wanted, Math.floor(numRows / 39)));
}

function sweepIvf({ numRows, dim, metric, seed, quick }: Shape): Comparison<IvfSpec>[] {
  const numLists = numListsFor(numRows);
  const base = { kind: 'ivf', metric, numLists, nprobe: 8, seed } as const;
  const probes = [1, 2, 4, 8, 16, 32, 64, 128, 256].filter((nprobe) => nprobe <= Math.max(1, numLists / 2));
  const plain = efforts(quick, 'nprobe', probes);
  const coded = (rescore: number): Effort[] => efforts(quick, 'nprobe', probes, { rescore });
  const lists = (factory: string): string => `IVF${numLists},${factory}`;
  const m8 = divisorUpTo(dim, Math.min(MAX_PARTS, dim / 4));
  const m4 = divisorUpTo(dim, Math.min(MAX_PARTS, dim / 2));
  const peer = (name: string, factory: string, tried: readonly Effort[]): PeerBuild => ({
    name,
    library: 'faiss',
    factory: lists(factory),
    efforts: tried,
  });
  const refined = efforts(quick, 'nprobe', probes, { k_factor_rf: 8 });
  const all: Comparison<IvfSpec>[] = [
    {
      name: 'ivf',
      spec: { ...base, codes: { kind: 'flat' }, rescore: 0 },
      efforts: plain,
      peers: [peer('faiss IVFFlat', 'Flat', plain)],
    },
    {
      name: 'ivf pq',
      spec: { ...base, codes: { kind: 'pq', m: m8, bits: 8, opq: false }, rescore: 0 },
      efforts: coded(0),
      peers: [peer('faiss IVFPQ', `PQ${m8}`, plain)],
    },
    {
      name: 'ivf pq4 rescored',
      spec: { ...base, codes: { kind: 'pq', m: m4, bits: 4, opq: false }, rescore: 8 },
      efforts: coded(8),
      peers: [peer('faiss IVFPQ4fs rescored', `PQ${m4}x4fs,RFlat`, refined)],
    },
    {
      name: 'ivf pq rescored',
      spec: { ...base, codes: { kind: 'pq', m: m8, bits: 8, opq: false }, rescore: 8 },
      efforts: coded(8),
      peers: [peer('faiss IVFPQ rescored', `PQ${m8},RFlat`, refined)],
    },
    {
      name: 'ivf sq8 rescored',
      spec: { ...base, codes: { kind: 'sq8' }, rescore: 2 },
      efforts: coded(2),
      peers: [peer('faiss IVFSQ8', 'SQ8', plain)],
    },
  ];
  return quick ? all.slice(0, 2) : all;
}

function sweepKdTree({ metric, seed, quick }: Shape): Comparison<KdTreeSpec>[] {
  const base = { kind: 'kdTree', metric, leafSize: 16, seed } as const;
  return [
    { name: 'kdTree exact', spec: { ...base, trees: 1, checks: 0 }, efforts: [{}], peers: [] },
    {
      name: 'kdTree forest',
      spec: { ...base, trees: 8, checks: 512 },
      efforts: efforts(quick, 'checks', [64, 128, 256, 512, 1024, 2048, 4096, 8192]),
      peers: [],
    },
  ];
}

function sweepLsh({ numRows, metric, seed, quick }: Shape): Comparison<LshSpec>[] {
  // Keys so long that a bucket holds a few dozen rows: a row more than that costs time, one less costs recall.
  const bits = Math.max(4, Math.min(24, Math.round(Math.log2(numRows / 32))));
  const tried = efforts(quick, 'probes', [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]);
  const base = { kind: 'lsh', metric, tables: 16, probes: 64, seed } as const;
  const codes = [64, 128, 256, 512].map((numBits): PeerBuild => ({
    name: 'faiss LSH',
    library: 'faiss',
    factory: `LSH${numBits}`,
    efforts: [{}],
  }));
  return [
    { name: 'lsh hyperplane', spec: { ...base, family: 'hyperplane', bits }, efforts: tried, peers: codes },
    { name: 'lsh crossPolytope', spec: { ...base, family: 'crossPolytope', bits: 2 }, efforts: tried, peers: [] },
  ];
}

function sweepDeepHash({ metric, seed, quick }: Shape): Comparison<DeepHashSpec>[] {
  const tried = efforts(quick, 'rescore', [0, 2, 4, 8, 16, 32, 64]);
  const lengths = [64, 128, 256] as const;
  return (['learned', 'hyperplane'] as const).flatMap((code) =>
    lengths.map((bits) => ({
      name: `deepHash ${code} ${bits}`,
      spec: { kind: 'deepHash', metric, bits, code, epochs: 20, rescore: 20, seed },
      efforts: tried,
      ratio: 'work',
      peers: [
        { name: 'faiss BinaryFlat', library: 'faissBinary', bits, seed, efforts: [{}] },
        ...(code === 'hyperplane'
          ? [{ name: 'faiss LSH', library: 'faiss', factory: `LSH${bits}`, efforts: [{}] } as const]
          : []),
      ],
    })),
  );
}
