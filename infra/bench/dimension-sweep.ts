import type { IndexSpec } from '../../contracts/ann.ts';
import { withMachine } from './bench-machine.ts';
import { makeDataset } from './dataset.ts';
import { groundTruth } from './ground-truth.ts';
import { measure } from './measure.ts';
import type { Timing } from './measure.ts';
import { buildOurs } from './our-contender.ts';
import { syntheticVectors } from './synthetic.ts';

/** An exact KD-tree against brute force at one dimension. */
export interface DimensionPoint {
  dim: number;
  /** In how many directions rows stray from their centre. */
  noiseRank: number;
  numRows: number;
  /** Queries/s on one thread. */
  tree: number;
  bruteForce: number;
  /** Part of the rows that the tree compared with a query, 0..1; `null` where it does not count. */
  visitedShare: number | null;
  recall: number;
}

export interface DimensionSweepInput {
  quick: boolean;
  k: number;
  seed: number;
  timing: Omit<Timing, 'ways'>;
  signal: AbortSignal;
  onProgress: (done: number, total: number) => void;
}

const LOW_RANK = 8;

/**
 * From 4 to 4096 dimensions, on rows that stray in all directions, and on rows that stray in 8 whatever their dimension: is it the
 * dimension that makes a tree useless, or that the rows fill it? `treeSpec` compares by L2 and finds all true neighbours.
 */
export async function dimensionSweep(treeSpec: IndexSpec, input: DimensionSweepInput): Promise<DimensionPoint[]> {
  const { quick, k, seed, signal, onProgress } = input;
  const timing: Timing = { ...input.timing, ways: ['single'] };
  const numRows = quick ? 2_000 : 10_000;
  const dims = [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096].filter((_, i) => !quick || i % 2 === 0);
  const cases = dims.flatMap((dim) =>
    (dim > LOW_RANK ? [dim, LOW_RANK] : [dim]).map((noiseRank) => ({ dim, noiseRank })),
  );
  const points: DimensionPoint[] = [];
  for (const [i, { dim, noiseRank }] of cases.entries()) {
    const vectors = await syntheticVectors({ size: numRows + 100, dim, noiseRank, seed, signal });
    const data = makeDataset({ name: 'dimensions', metric: 'l2', vectors, numQueries: 100, seed });
    points.push(
      await withMachine(1, async (machine) => {
        const truth = await groundTruth(data, k, machine, signal);
        const context = { data, k, machine, signal, onProgress: () => undefined };
        const efforts = [{}];
        const ours = await buildOurs({ name: 'tree', spec: treeSpec, efforts }, context);
        const spec: IndexSpec = { kind: 'exact', metric: 'l2' };
        const scan = await buildOurs({ name: 'bruteForce', spec, efforts }, context);
        const common = { data, truth, timing, signal, onProgress: () => undefined, sameWork: false };
        const [row, other] = await measure({ ...common, kind: 'exact', ours, peers: [scan] });
        return {
          dim,
          noiseRank,
          numRows,
          tree: row!.single,
          bruteForce: other!.single,
          visitedShare: row!.visitedShare ?? null,
          recall: row!.recall,
        };
      }),
    );
    onProgress(i + 1, cases.length);
  }
  return points;
}
