import { numbersOf } from './kmeans.ts';
import type { Assignment, KMeansOptions, TrainingRows } from './kmeans.ts';
import { allocatePanels, fillPanels, halfNegativeSquare } from './panels.ts';

/** Seeds are drawn in so many rounds: one row a round is k-means++, which is kept for few cells. */
const ROUNDS = 16;
/** Rows that are looked at for each cell to be seeded. */
const ROWS_PER_CELL = 24;

/** Draws `numCells` rows, each round by the squared distance from those drawn before. Answers them, f32 [numCells, dim]. */
export async function seedCells(
  rows: TrainingRows,
  squares: Float32Array,
  work: Assignment,
  { numCells, spherical, random }: KMeansOptions,
): Promise<Float32Array> {
  const { kernels, dim, stride, numRows } = rows;
  const count = Math.min(numRows, numCells * ROWS_PER_CELL);
  const perRound = Math.max(1, Math.ceil(numCells / ROUNDS));
  const panels = allocatePanels(kernels, perRound, dim);
  const data = numbersOf(rows);
  const seeds = new Float32Array(numCells * dim);
  const isDrawn = new Uint8Array(count);
  const distances = new Float64Array(count).fill(1);
  for (let done = 0; done < numCells;) {
    const round = Math.min(perRound, numCells - done);
    for (const [i, row] of drawRows(distances, isDrawn, round, random).entries()) {
      const start = (row * stride) / 4;
      seeds.set(data.subarray(start, start + dim), (done + i) * dim);
    }
    const fresh = seeds.subarray(done * dim, (done + round) * dim);
    fillPanels(kernels, panels, fresh, (cell) => (spherical ? 0 : halfNegativeSquare(fresh, dim, cell)));
    await work.run(panels, count);
    for (let row = 0; row < count; row++) {
      const distance = Math.max(0, squares[row]! - 2 * work.scores[row]! + (spherical ? 1 : 0));
      distances[row] = done === 0 ? distance : Math.min(distances[row]!, distance);
    }
    done += round;
  }
  return seeds;
}

/** Rows not drawn before, with probability by weight; by turn when no weight is left. */
function drawRows(weights: Float64Array, isDrawn: Uint8Array, count: number, random: () => number): number[] {
  const sums = new Float64Array(weights.length);
  let total = 0;
  for (let i = 0; i < weights.length; i++) sums[i] = total += isDrawn[i] === 1 ? 0 : weights[i]!;
  const drawn: number[] = [];
  let next = 0;
  for (let tries = 0; drawn.length < count; tries++) {
    let row = firstAbove(sums, random() * total);
    if (row >= sums.length || isDrawn[row] === 1) {
      // A row met again is drawn again at first; many equal rows leave nothing but taking the next.
      if (total > 0 && tries < 4 * count) continue;
      while (isDrawn[next] === 1) next++;
      row = next;
    }
    isDrawn[row] = 1;
    drawn.push(row);
  }
  return drawn;
}

/** The first index whose sum is above `value`. */
function firstAbove(sums: Float64Array, value: number): number {
  let low = 0;
  let high = sums.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sums[middle]! > value) high = middle;
    else low = middle + 1;
  }
  return low;
}
