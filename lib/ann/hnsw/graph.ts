import type { HnswSpec } from '../../../contracts/ann.ts';
import { throwIfAborted } from '../rows.ts';
import type { Vectors } from '../vectors.ts';
import { entryOf } from './levels.ts';

/** A graph in the memory of its rows. */
export interface Graph {
  readonly vectors: Vectors;
  /** Address of its head, by which kernels know it. */
  readonly head: number;
  readonly levels: Uint8Array;
  /** Views of the links: of the ground layer, 2m a row, and of all layers above it. */
  readonly ground: Int32Array;
  readonly upper: Int32Array;
}

/** Rows encoded between two pauses. */
const ENCODE_ROWS = 4096;

/** Makes room for the graph of at least one row with the given levels, without a link, and encodes the rows if asked. */
export async function placeGraph(
  spec: HnswSpec,
  vectors: Vectors,
  levels: Uint8Array,
  signal?: AbortSignal,
): Promise<Graph> {
  const { kernels, dim, size } = vectors;
  const upperAt = new Int32Array(size).fill(-1);
  let numBlocks = 0;
  for (let row = 0; row < size; row++) {
    if (levels[row] === 0) continue;
    upperAt[row] = numBlocks;
    numBlocks += levels[row]!;
  }
  const isCoded = storageOf(spec) === 'int8';
  const codeBytes = Math.ceil(dim / 32) * 32;
  const ground = kernels.allocate(size * spec.m * 8);
  const upper = kernels.allocate(numBlocks * spec.m * 4);
  const zeros = (): number => kernels.place(new Uint8Array((codeBytes + 1) * 4));
  const codes = isCoded ? kernels.allocate(size * codeBytes) : 0;
  const [centres, steps, weights] = isCoded ? [zeros(), zeros(), zeros()] : [0, 0, 0];
  const biases = isCoded && spec.metric === 'l2' ? kernels.allocate(size * 4) : 0;
  // In the order of `open` in assembly/hnsw-graph.ts.
  const head = kernels.place(
    Uint32Array.of(
      ...[size, dim, spec.metric === 'l2' ? 1 : 0, vectors.address],
      ...[codes, codeBytes, centres, steps, weights, biases],
      ...[ground, upper, kernels.place(upperAt), kernels.place(levels), spec.m, entryOf(levels)],
    ),
  );
  const graph = {
    vectors,
    head,
    levels,
    ground: kernels.i32(ground, size * spec.m * 2).fill(-1),
    upper: kernels.i32(upper, numBlocks * spec.m).fill(-1),
  };
  if (isCoded) await encode(graph, signal);
  return graph;
}

/** What walks compare. */
export function storageOf(spec: HnswSpec): 'float32' | 'int8' {
  return spec.storage ?? 'int8';
}

async function encode({ vectors: { kernels, size }, head }: Graph, signal: AbortSignal | undefined): Promise<void> {
  kernels.run.hnswRanges(head);
  for (let from = 0; from < size; from += ENCODE_ROWS) {
    kernels.run.hnswEncode(head, from, Math.min(from + ENCODE_ROWS, size));
    await new Promise((resume) => setImmediate(resume));
    throwIfAborted(signal);
  }
}
