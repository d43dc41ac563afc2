import { LookalikeError } from '../../../contracts/errors.ts';
import type { Kernels } from '../kernels/kernels.ts';
import { placeMatrix } from './matrix.ts';
import type { Matrix } from './matrix.ts';
import { NeighbourLoss } from './neighbour-loss.ts';
import type { SeededRandom } from './random.ts';

/** Rows of a group: some of the anchor's nearest, which are hard to tell apart, and as many of all. */
const NEAR_ROWS = 64;
const FAR_ROWS = 64;
const POOL_ROWS = 100;
const GROUPS_PER_STEP = 4;
/** Of a weight's mean size, and of a bias in standard deviations; falls to 0 over the run. */
const LEARNING_RATE = 0.1;
const BETA1 = 0.9;
const BETA2 = 0.999;

/** Fewer rows tell nothing about neighbours that a group would not hold anyway. */
export const MIN_ROWS = 256;

/**
 * Trains columns of weights [dim, bits], in place, and returns the biases, so that codes of the rows keep their neighbours:
 * an epoch sees as many near rows as there are rows. Adam; bits are expected to have about unit variance.
 * @throws LookalikeError `nonFinite`
 */
export async function fineTune(
  kernels: Kernels,
  rows: Matrix,
  weights: Matrix,
  { epochs, hasBias }: { epochs: number; hasBias: boolean },
  random: SeededRandom,
  pause: (share: number) => Promise<void>,
): Promise<Float32Array> {
  const { cols: bits, rows: dim } = weights;
  const bias = placeMatrix(kernels, 1, bits);
  if (epochs === 0) return bias.data;
  const { nearest, rowUnit } = await neighbours(kernels, rows, () => pause(0));
  const loss = new NeighbourLoss(kernels, NEAR_ROWS + FAR_ROWS, dim, bits, rowUnit);
  const group = placeMatrix(kernels, NEAR_ROWS + FAR_ROWS, dim);
  const slopes = placeMatrix(kernels, dim, bits);
  const biasSlopes = placeMatrix(kernels, 1, bits);
  const size = weights.data.reduce((sum, value) => sum + Math.abs(value), 0) / weights.data.length;
  const steps = [adam(weights.data, slopes.data, size)];
  if (hasBias) steps.push(adam(bias.data, biasSlopes.data, 1));
  const numSteps = Math.ceil((epochs * rows.rows) / (GROUPS_PER_STEP * NEAR_ROWS));
  for (let step = 0; step < numSteps; step++) {
    await pause(step / numSteps);
    slopes.data.fill(0);
    biasSlopes.data.fill(0);
    let total = 0;
    for (let i = 0; i < GROUPS_PER_STEP; i++) {
      drawGroup(rows, nearest, group, random);
      total += loss.add(group, weights, bias.data, slopes, biasSlopes.data);
    }
    if (!Number.isFinite(total)) {
      throw new LookalikeError(
        'nonFinite',
        `Expected the loss of the code to be a number, got ${total} at step ${step}.`,
      );
    }
    for (const update of steps) update(LEARNING_RATE * (1 - step / numSteps));
  }
  return bias.data;
}

/** The nearest rows of each, i32 [rows, POOL_ROWS], and the mean squared distance of the 10th. */
async function neighbours(
  kernels: Kernels,
  { address, rows, cols, data }: Matrix,
  pause: () => Promise<void>,
): Promise<{ nearest: Int32Array; rowUnit: number }> {
  const nearest = new Int32Array(rows * POOL_ROWS);
  let total = 0;
  const room = POOL_ROWS + 1;
  const scores = kernels.allocate(room * 4);
  const found = kernels.allocate(room * 4);
  for (let row = 0; row < rows; row++) {
    if (row % 64 === 0) await pause();
    const at = address + row * cols * 4;
    kernels.run.scanRows(address, cols, 0, rows, at, 1, 0, room, scores, found, 0);
    kernels.run.heapSort(scores, found, room);
    const others = kernels.i32(found, room).filter((other) => other !== row);
    nearest.set(others.subarray(0, POOL_ROWS), row * POOL_ROWS);
    total -= kernels.f32(scores, room)[10]!;
  }
  // Rows that are all alike have no neighbours to keep.
  return { nearest, rowUnit: total / rows || meanSquare(data) || 1 };
}

function meanSquare(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0) / values.length;
}

/** An anchor, some of its nearest, each at most once, and rows of all. */
function drawGroup(rows: Matrix, nearest: Int32Array, group: Matrix, random: SeededRandom): void {
  const anchor = random.below(rows.rows);
  const pool = nearest.slice(anchor * POOL_ROWS, (anchor + 1) * POOL_ROWS);
  const take = (place: number, row: number): void => {
    group.data.set(rows.data.subarray(row * rows.cols, (row + 1) * rows.cols), place * rows.cols);
  };
  take(0, anchor);
  for (let i = 1; i < NEAR_ROWS; i++) {
    const j = i - 1 + random.below(POOL_ROWS - i + 1);
    take(i, pool[j]!);
    pool[j] = pool[i - 1]!;
  }
  for (let i = NEAR_ROWS; i < NEAR_ROWS + FAR_ROWS; i++) take(i, random.below(rows.rows));
}

/** A step of Adam (Kingma & Ba 2015, algorithm 1) on `values` by `slopes`; rates are multiples of `unit`. */
function adam(values: Float32Array, slopes: Float32Array, unit: number): (rate: number) => void {
  const means = new Float32Array(values.length);
  const squares = new Float32Array(values.length);
  let step = 0;
  return (rate) => {
    step++;
    const scale = (rate * unit) / (1 - BETA1 ** step);
    const squareScale = 1 / (1 - BETA2 ** step);
    for (let i = 0; i < values.length; i++) {
      const slope = slopes[i]!;
      means[i] = BETA1 * means[i]! + (1 - BETA1) * slope;
      squares[i] = BETA2 * squares[i]! + (1 - BETA2) * slope * slope;
      values[i]! -= (scale * means[i]!) / (Math.sqrt(squares[i]! * squareScale) + 1e-12);
    }
  };
}
