import type { IvfSpec } from '../../../contracts/ann.ts';
import { randomFrom } from '../../images/random.ts';
import type { BuildOptions } from '../kind.ts';
import { Kernels } from '../kernels/kernels.ts';
import { createBitmap, hasBit, setBit } from '../bitmap.ts';
import type { Vectors } from '../vectors.ts';
import { numListsFor } from './auto.ts';
import { addCodes } from './codes.ts';
import { assignRows, trainCells } from './kmeans.ts';
import type { TrainingRows } from './kmeans.ts';
import { allocatePanels, fillPanels, halfNegativeSquare } from './panels.ts';
import { allocatePart, placeDescriptor } from './parts.ts';
import type { Layout, PlacedIvf } from './parts.ts';
import { callRunner } from './call-runner.ts';
import type { RunCalls } from './call-runner.ts';

/** Rows to learn the cells from, for each cell; more of them move centres little (faiss takes 39 to 256). */
const TRAINING_ROWS_PER_LIST = 96;
const ITERATIONS = 10;

/** The lists, before any codes. */
export interface Lists {
  layout: Layout;
  /** f32 [numLists, dim], less the mean. */
  centres: Float32Array;
  /** f32 [dim]: zeros unless the metric is L2. */
  mean: Float32Array;
}

/**
 * Learns cells from a sample, assigns every row to its nearest, and moves the rows in place so that those of a list lie one
 * after the other, in ascending order. Under cosine the cells are spherical. Under inner product rows are assigned by L2, so
 * that what is left of a row beside its centre is small, and queries rank lists by the inner product with their centres.
 */
export async function buildLists(spec: IvfSpec, vectors: Vectors, options: BuildOptions): Promise<Lists> {
  const { kernels, dim, size } = vectors;
  const run = callRunner(kernels, options.machine, options.signal);
  const numLists = numListsFor(spec.numLists, size);
  const mean = spec.metric === 'l2' ? meanOf(vectors) : new Float32Array(dim);
  const isSpherical = spec.metric === 'cosine';
  const random = randomFrom(spec.seed);
  const sample = sampleRows(vectors, mean, numLists * TRAINING_ROWS_PER_LIST, random);
  const { centres } = await trainCells(sample, {
    ...{ numCells: numLists, spherical: isSpherical, iterations: ITERATIONS, random },
    run: callRunner(sample.kernels, options.machine, options.signal),
  });

  const panels = allocatePanels(kernels, numLists, dim);
  fillPanels(kernels, panels, centres, (cell) => (isSpherical ? 0 : halfNegativeSquare(centres, dim, cell)));
  const ids = allocatePart(kernels, size * 4);
  const meanAt = kernels.place(mean);
  const { offsets, order } = await assign({ vectors, panels, mean: meanAt, at: ids.address, numLists, run, options });
  moveRows(vectors.data, dim, order);
  kernels.i32(ids.address, size).set(order);
  const isL2 = spec.metric === 'l2';
  fillPanels(kernels, panels, centres, (cell) => (isL2 ? halfNegativeSquare(centres, dim, cell) : 0));
  const bytesOfPanels = panels.numPanels * 32;
  const parts = {
    offsets: { address: kernels.place(offsets), bytes: offsets.byteLength },
    ids,
    panels: { address: panels.address, bytes: bytesOfPanels * dim },
    cellBias: { address: panels.bias, bytes: bytesOfPanels },
    ...(isL2 ? { mean: { address: meanAt, bytes: mean.byteLength } } : {}),
  };
  const layout = { vectors, kernelMetric: isL2 ? 1 : 0, numLists, codesKind: 0, m: 0, parts };
  return { layout, centres, mean };
}

/** The list of each row, counted into where lists start and which row is at each position. */
async function assign(work: {
  vectors: Vectors;
  panels: ReturnType<typeof allocatePanels>;
  mean: number;
  /** Room for an i32 a row. */
  at: number;
  numLists: number;
  run: RunCalls;
  options: BuildOptions;
}): Promise<{ offsets: Int32Array; order: Int32Array }> {
  const { vectors, panels, mean, at, numLists, run, options } = work;
  const { kernels, address, dim, size } = vectors;
  const { onProgress } = options;
  await kernels.longScratch(() =>
    assignRows({ kernels, address, stride: dim * 4, panels, mean, count: size, cells: at, scores: 0, run, onProgress }),
  );
  const cells = kernels.i32(at, size);
  const offsets = new Int32Array(numLists + 1);
  for (const cell of cells) offsets[cell + 1]!++;
  for (let list = 0; list < numLists; list++) offsets[list + 1]! += offsets[list]!;
  const next = offsets.slice();
  const order = new Int32Array(size);
  for (let row = 0; row < size; row++) order[next[cells[row]!]!++] = row;
  return { offsets, order };
}

/** Brings row `order[i]` to position i for all i, along the cycles of the permutation. */
export function moveRows(data: Float32Array, dim: number, order: Int32Array): void {
  const isDone = createBitmap(order.length);
  const held = new Float32Array(dim);
  for (let start = 0; start < order.length; start++) {
    if (hasBit(isDone, start)) continue;
    held.set(data.subarray(start * dim, (start + 1) * dim));
    let at = start;
    for (let from = order[at]!; from !== start; from = order[at]!) {
      data.copyWithin(at * dim, from * dim, (from + 1) * dim);
      setBit(isDone, at);
      at = from;
    }
    data.set(held, at * dim);
    setBit(isDone, at);
  }
}

function meanOf({ data, dim, size }: Vectors): Float32Array {
  const sums = new Float64Array(dim);
  for (let row = 0; row < size; row++) {
    for (let d = 0; d < dim; d++) sums[d]! += data[row * dim + d]!;
  }
  return Float32Array.from(sums, (sum) => sum / size);
}

/** Random rows less the mean, in a memory of their own that is gone after the training. */
function sampleRows(vectors: Vectors, mean: Float32Array, wanted: number, random: () => number): TrainingRows {
  const { data, dim, size } = vectors;
  const numRows = Math.min(size, wanted);
  const rows = Int32Array.from({ length: size }, (_, row) => row);
  const kernels = new Kernels();
  const address = kernels.allocate(numRows * dim * 4);
  const copy = kernels.f32(address, numRows * dim);
  for (let i = 0; i < numRows; i++) {
    const other = i + Math.floor(random() * (size - i));
    const row = rows[other]!;
    rows[other] = rows[i]!;
    for (let d = 0; d < dim; d++) copy[i * dim + d] = data[row * dim + d]! - mean[d]!;
  }
  return { kernels, address, stride: dim * 4, dim, numRows };
}

/** Lists, then codes. @throws LookalikeError `cancelled` */
export async function buildIvf(spec: IvfSpec, vectors: Vectors, options: BuildOptions): Promise<PlacedIvf> {
  if (vectors.size > 0) return addCodes(await buildLists(spec, vectors, options), spec, options);
  const layout = { vectors, kernelMetric: 0, numLists: 0, codesKind: 0, m: 0, parts: {} };
  return { layout, descriptor: placeDescriptor(layout) };
}
