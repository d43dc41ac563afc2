import type { AnnMachine, KdTreeSpec } from '../../../contracts/ann.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { BuildOptions, IndexKindModule, LoadOptions } from '../kind.ts';
import { inPieces } from '../pause.ts';
import { runCalls } from '../run-calls.ts';
import type { Call } from '../run-calls.ts';
import { StructuredIndex } from '../structured-index.ts';
import type { Structure } from '../structured-index.ts';
import type { Vectors } from '../vectors.ts';
import { isExactTree, placeForest } from './forest.ts';
import type { Forest } from './forest.ts';

/**
 * With `trees` 1 and `checks` 0 an exact tree: every node is bounded by the box around its rows, and a search goes best first
 * (Hjaltason & Samet 1999) until no box can hold a better row. Else a forest of randomised trees (Muja & Lowe 2014, section
 * 3.1), searched through one queue until `checks` rows were compared.
 */
export type KdTreeIndex = StructuredIndex<KdTreeSpec>;

/** A subtree of at most so many rows is one call, so that threads share a tree. */
const BLOCK_ROWS = 16_384;

function structureOf(spec: KdTreeSpec, forest: Forest): Structure {
  const { vectors, numNodes } = forest;
  return {
    kernel: 'kdSearch',
    address: forest.address,
    plan: 'tree',
    effort(options, numAllowed) {
      const checks = options.checks ?? spec.checks;
      return numAllowed <= Math.max(checks, spec.leafSize) ? undefined : checks;
    },
    scratchBytes: () => Math.ceil(vectors.size / 512) * 64 + (numNodes + 1) * spec.trees * 8,
    sections: () => forest.sections(),
  };
}

/** @throws LookalikeError `cancelled` */
async function build(
  spec: KdTreeSpec,
  vectors: Vectors,
  { machine, signal, onProgress }: BuildOptions,
): Promise<KdTreeIndex> {
  const { kernels, size, dim } = vectors;
  const forest = await placeForest(spec, vectors, signal);
  const { order } = forest;
  await inPieces(
    order.length,
    1,
    (from, to) => {
      for (let i = from; i < to; i++) order[i] = i % size;
    },
    signal,
  );
  await kernels.scratchAsync(async () => {
    const values = Array.from({ length: spec.trees }, () => kernels.allocate(size * 4));
    const blockLevel = Math.min(forest.depth, Math.max(0, Math.ceil(Math.log2(size / BLOCK_ROWS))));
    const cut = (tree: number, level: number, position: number, stopLevel: number): Call => {
      const sums = kernels.allocate((dim + 1) * 8);
      return {
        name: 'kdBuild',
        args: [forest.address, tree, level, position, stopLevel, spec.seed, values[tree]!, sums],
      };
    };
    const trees = values.map((_, tree) => tree);
    for (let level = 0; level < blockLevel; level++) {
      const nodes = Array.from({ length: 2 ** level }, (_, i) => i);
      const cuts = trees.flatMap((tree) => nodes.map((node) => cut(tree, level, node, level + 1)));
      await runCalls(kernels, machine, cuts, signal);
    }
    for (const tree of trees) {
      const blocks = Array.from({ length: 2 ** blockLevel }, (_, i) => cut(tree, blockLevel, i, -1));
      await runCalls(kernels, machine, blocks, signal);
      onProgress?.(Math.floor((size * (tree + 1)) / spec.trees));
    }
  });
  return finish(spec, forest, machine, signal);
}

async function load(spec: KdTreeSpec, vectors: Vectors, { machine, section }: LoadOptions): Promise<KdTreeIndex> {
  const forest = await placeForest(spec, vectors);
  await forest.read(section);
  return finish(spec, forest, machine);
}

async function finish(
  spec: KdTreeSpec,
  forest: Forest,
  machine: AnnMachine,
  signal?: AbortSignal,
): Promise<KdTreeIndex> {
  if (isExactTree(spec) && forest.vectors.size > 0) await boundNodes(spec, forest, machine, signal);
  return new StructuredIndex(spec, forest.vectors, structureOf(spec, forest), machine);
}

/** Boxes follow from the rows: they are not stored, so no damaged file can make them lie. */
async function boundNodes(
  spec: KdTreeSpec,
  { vectors, address, numNodes }: Forest,
  machine: AnnMachine,
  signal: AbortSignal | undefined,
): Promise<void> {
  const step = Math.ceil(BLOCK_ROWS / spec.leafSize);
  const numInner = (numNodes - 1) / 2;
  const blocks = (from: number, to: number): Call[] =>
    Array.from({ length: Math.ceil((to - from) / step) }, (_, i) => {
      const end = to - i * step;
      return { name: 'kdBoxes', args: [address, Math.max(from, end - step), end] };
    });
  await runCalls(vectors.kernels, machine, blocks(numInner, numNodes), signal);
  // Parents have lower numbers than their children, so that the blocks of these are done one after the other.
  for (const block of blocks(0, numInner)) await runCalls(vectors.kernels, machine, [block], signal);
}

export const kdTree: IndexKindModule<KdTreeSpec> = {
  bounds: { trees: [1, 64], leafSize: [2, 4096], checks: [0, 1_000_000], seed: [0, 0xffffffff] },
  check({ trees, checks }) {
    if (trees > 1 && checks === 0) {
      throw new LookalikeError(
        'invalidInput',
        `Expected \`checks\` to be at least 1 for a forest of ${trees} trees, got 0. Only a single tree is exact.`,
      );
    }
  },
  build,
  load,
};
