import type { Kernels } from '../kernels/kernels.ts';
import { allocatePanels, fillPanels, halfNegativeSquare } from './panels.ts';
import type { Panels } from './panels.ts';
import type { Call } from '../run-calls.ts';
import type { RunCalls } from './call-runner.ts';
import { repairCells } from './repair-cells.ts';
import { seedCells } from './seed-cells.ts';

/** Rows of one kernel call. */
const BLOCK_ROWS = 1024;
/** Calls that run at once, each with scratch of its own. */
const MAX_CALLS = 32;
/** Iterations over the first quarter of the rows; the rest of them over all. */
const COARSE_SHARE = 0.6;
/** An iteration over all rows that lowers the inertia by less than this share is the last. */
const ENOUGH = 5e-4;

/** Rows to learn from, in random order: f32 at `address`, `stride` bytes apart, of which `dim` numbers count. */
export interface TrainingRows {
  kernels: Kernels;
  address: number;
  stride: number;
  dim: number;
  numRows: number;
}

export interface KMeansOptions {
  numCells: number;
  /** Centres of unit length, compared by the inner product alone (Dhillon & Modha 2001): for rows of unit length. */
  spherical: boolean;
  iterations: number;
  random: () => number;
  run: RunCalls;
}

export interface Cells {
  /** f32 [numCells, dim]. */
  centres: Float32Array;
  /** Sum of squared distances of the rows from their cells' centres, before the last step. */
  inertia: number;
}

/**
 * Lloyd's k-means from seeds drawn by squared distance (Arthur & Vassilvitskii 2007, in rounds as Bahmani et al. 2012). Most
 * iterations look at a quarter of the rows. Cells that hold far too few rows are sent into cells that hold far too many, so
 * that lists stay comparable in length. The same rows and random numbers give the same cells, however many threads there are.
 */
export async function trainCells(rows: TrainingRows, options: KMeansOptions): Promise<Cells> {
  const { kernels, dim, numRows } = rows;
  const { numCells, spherical, iterations, random } = options;
  const panels = allocatePanels(kernels, numCells, dim);
  const work = new Assignment(rows, options.run);
  const squares = squaredLengths(rows);
  const load = (centres: Float32Array): void => {
    fillPanels(kernels, panels, centres, (cell) => (spherical ? 0 : halfNegativeSquare(centres, dim, cell)));
  };
  const nearest = async (centres: Float32Array, count: number): Promise<void> => {
    load(centres);
    await work.run(panels, count);
  };
  let centres = await seedCells(rows, squares, work, options);
  // |x - c|^2 = |x|^2 + |c|^2 - 2 x.c, where the bias of the score holds |c|^2 unless it is 1.
  const constant = spherical ? 1 : 0;
  let inertia = Infinity;
  const numCoarse = numRows >= 8 * numCells ? Math.round(iterations * COARSE_SHARE) : 0;
  for (let iteration = 0; iteration < iterations; iteration++) {
    const count = iteration < numCoarse ? numRows >> 2 : numRows;
    await nearest(centres, count);
    const before = inertia;
    inertia = 0;
    for (let row = 0; row < count; row++) inertia += Math.max(0, squares[row]! + constant - 2 * work.scores[row]!);
    const isLast = iteration === iterations - 1 || (iteration > numCoarse && before - inertia < ENOUGH * before);
    const { sums, counts } = sumsOfCells(rows, work.cells, count, numCells);
    centres = means(sums, counts, centres, dim);
    if (!isLast) repairCells({ centres, counts, cells: work.cells, rows, count, random });
    if (spherical) normaliseRows(centres, dim);
    if (isLast) break;
  }
  return { centres, inertia };
}

/** Finds the nearest cell of each row, block by block. */
export class Assignment {
  readonly cells: Int32Array;
  readonly scores: Float32Array;
  readonly #rows: TrainingRows;
  readonly #run: RunCalls;
  readonly #at: { cells: number; scores: number; scratch: number };

  constructor(rows: TrainingRows, run: RunCalls) {
    const { kernels, numRows } = rows;
    this.#rows = rows;
    this.#run = run;
    const scratchBytes = kernels.run.nearestCellsScratch(rows.dim) * MAX_CALLS;
    this.#at = {
      cells: kernels.allocate(numRows * 4),
      scores: kernels.allocate(numRows * 4),
      scratch: kernels.allocate(scratchBytes),
    };
    this.cells = kernels.i32(this.#at.cells, numRows);
    this.scores = kernels.f32(this.#at.scores, numRows);
  }

  /** For the first `count` rows. */
  async run(panels: Panels, count: number): Promise<void> {
    const { kernels, address, stride } = this.#rows;
    const { cells, scores, scratch } = this.#at;
    await assignRows({ kernels, address, stride, panels, count, cells, scores, scratch, run: this.#run });
  }
}

/** As `nearestCells` for the rows [0, count), a few blocks at a time; `scores` may be 0. */
export async function assignRows(work: {
  kernels: Kernels;
  address: number;
  stride: number;
  panels: Panels;
  count: number;
  /** Of an f32 vector that rows are taken less; by default none. */
  mean?: number;
  cells: number;
  scores: number;
  /** Room of MAX_CALLS calls; by default taken anew. */
  scratch?: number;
  run: RunCalls;
  onProgress?: (rowsDone: number) => void;
}): Promise<void> {
  const { kernels, address, stride, panels, count, cells, scores, run, onProgress, mean = 0 } = work;
  const scratchBytes = kernels.run.nearestCellsScratch(panels.dim);
  const scratch = work.scratch ?? kernels.allocate(scratchBytes * MAX_CALLS);
  for (let first = 0; first < count; first += BLOCK_ROWS * MAX_CALLS) {
    const calls: Call[] = [];
    for (let from = first; from < Math.min(count, first + BLOCK_ROWS * MAX_CALLS); from += BLOCK_ROWS) {
      const to = Math.min(count, from + BLOCK_ROWS);
      const out = [cells + from * 4, scores === 0 ? 0 : scores + from * 4, scratch + calls.length * scratchBytes];
      const { dim, short, bias, numPanels } = panels;
      const cellsAt = [dim, mean, short.address, short.scales, bias, numPanels];
      calls.push({ name: 'nearestCells', args: [address, stride, from, to, ...cellsAt, ...out] });
    }
    await run(calls);
    onProgress?.(Math.min(count, first + BLOCK_ROWS * MAX_CALLS));
  }
}

/** All numbers from the first row's first to the last row's last. */
export function numbersOf({ kernels, address, stride, dim, numRows }: TrainingRows): Float32Array {
  return kernels.f32(address, numRows === 0 ? 0 : ((numRows - 1) * stride) / 4 + dim);
}

function squaredLengths(rows: TrainingRows): Float32Array {
  const { stride, dim, numRows } = rows;
  const squares = new Float32Array(numRows);
  const data = numbersOf(rows);
  for (let row = 0; row < numRows; row++) {
    let sum = 0;
    const start = (row * stride) / 4;
    for (let d = start; d < start + dim; d++) sum += data[d]! * data[d]!;
    squares[row] = sum;
  }
  return squares;
}

function sumsOfCells(
  rows: TrainingRows,
  cells: Int32Array,
  count: number,
  numCells: number,
): { sums: Float64Array; counts: Int32Array } {
  const { stride, dim } = rows;
  const data = numbersOf(rows);
  const sums = new Float64Array(numCells * dim);
  const counts = new Int32Array(numCells);
  for (let row = 0; row < count; row++) {
    const cell = cells[row]!;
    const from = (row * stride) / 4;
    const to = cell * dim;
    counts[cell]!++;
    for (let d = 0; d < dim; d++) sums[to + d]! += data[from + d]!;
  }
  return { sums, counts };
}

/** An empty cell stays where it was. */
function means(sums: Float64Array, counts: Int32Array, before: Float32Array, dim: number): Float32Array {
  return before.map((value, i) => {
    const count = counts[Math.floor(i / dim)]!;
    return count === 0 ? value : sums[i]! / count;
  });
}

/** Scales each row to unit length; zero stays zero. */
export function normaliseRows(rows: Float32Array, dim: number): void {
  for (let start = 0; start < rows.length; start += dim) {
    let sum = 0;
    for (let d = start; d < start + dim; d++) sum += rows[d]! * rows[d]!;
    const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
    for (let d = start; d < start + dim; d++) rows[d]! *= scale;
  }
}
