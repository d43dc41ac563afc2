import type { Kernels } from '../kernels/kernels.ts';
import type { Call } from '../run-calls.ts';
import type { RunCalls } from './call-runner.ts';
import { numbersOf } from './kmeans.ts';
import type { TrainingRows } from './kmeans.ts';
import { decodeNearest, learnCodebooks } from './pq.ts';
import type { PqCodes } from './pq.ts';

/** Alternations of codebooks and rotation, and the rows they look at. */
const ROUNDS = 8;
const MAX_ROWS = 4096;
const KMEANS_ITERATIONS = 4;
/** Newton steps towards the nearest rotation: as many as the smallest singular value needs to reach 1, and no more. */
const MAX_STEPS = 80;
const ENOUGH = 1e-5;

/**
 * Optimised product quantisation (Ge, He, Ke & Sun 2013, the non-parametric solution): codebooks for the rotated rows, then the
 * rotation that brings the rows nearest to what their codes stand for (orthogonal Procrustes), by turns. Rotates the rows in
 * place and answers the rotation, f32 [dim, dim], each row of it one new dimension. Costs grow with dim^3.
 */
export async function learnRotation(
  rows: TrainingRows,
  codes: PqCodes,
  random: () => number,
  run: RunCalls,
): Promise<Float32Array> {
  const { kernels, dim } = rows;
  const numRows = Math.min(rows.numRows, MAX_ROWS);
  const some = Float32Array.from(numbersOf({ ...rows, numRows }));
  // Blocks of correlated dimensions are what a rotation mends: begin with a random one rather than with none.
  let rotation = await nearestRotation(Float32Array.from({ length: dim * dim }, gaussian(random)), dim, kernels, run);
  for (let round = 0; round < ROUNDS; round++) {
    const turned = await multiply(some, rotation, dim, kernels, run);
    const address = kernels.allocate(turned.byteLength);
    kernels.f32(address, turned.length).set(turned);
    const work = { kernels, address, stride: dim * 4, dim, numRows };
    const centres = await learnCodebooks(work, codes, random, run, KMEANS_ITERATIONS);
    decodeNearest(turned, dim, centres, codes);
    const cross = await multiply(transposed(turned, dim), transposed(some, dim), numRows, kernels, run);
    // Directions in which the rows do not spread are left as they are turned now.
    const keep = Math.sqrt(sumOfSquares(cross) / dim) * 1e-3;
    rotation = await nearestRotation(
      cross.map((value, i) => value + keep * rotation[i]!),
      dim,
      kernels,
      run,
    );
  }
  const all = numbersOf(rows);
  all.set(await multiply(all, rotation, dim, kernels, run));
  return rotation;
}

/** The orthogonal factor of the polar decomposition, by Newton-Schulz steps X <- X (3 - X'X) / 2 (Higham 2008, section 8.3). */
export async function nearestRotation(
  matrix: Float32Array,
  dim: number,
  kernels: Kernels,
  run: RunCalls,
): Promise<Float32Array> {
  const scale = 1 / Math.sqrt(sumOfSquares(matrix));
  let x: Float32Array = matrix.map((value) => value * scale);
  for (let step = 0; step < MAX_STEPS; step++) {
    const columns = transposed(x, dim);
    const gram = await multiply(columns, columns, dim, kernels, run);
    let error = 0;
    for (let i = 0; i < gram.length; i++) {
      const target = i % (dim + 1) === 0 ? 1 : 0;
      error = Math.max(error, Math.abs(gram[i]! - target));
      gram[i] = 1.5 * target - 0.5 * gram[i]!;
    }
    if (error < ENOUGH) break;
    x = await multiply(x, gram, dim, kernels, run);
  }
  return x;
}

/** a . b' for row-major a [n, width] and b [p, width]. */
export async function multiply(
  a: Float32Array,
  b: Float32Array,
  width: number,
  kernels: Kernels,
  run: RunCalls,
): Promise<Float32Array> {
  const [numA, numB] = [a.length / width, b.length / width];
  return kernels.longScratch(async () => {
    const [aAt, bAt, out] = [kernels.place(a), kernels.place(b), kernels.allocate(numA * numB * 4)];
    const step = Math.ceil(numA / 16);
    const calls: Call[] = [];
    for (let from = 0; from < numA; from += step) {
      const to = Math.min(numA, from + step);
      calls.push({ name: 'products', args: [aAt, from, to, bAt, numB, width, out] });
    }
    await run(calls);
    return kernels.f32(out, numA * numB).slice();
  });
}

function transposed(matrix: Float32Array, width: number): Float32Array {
  const height = matrix.length / width;
  return Float32Array.from(matrix, (_, i) => matrix[(i % height) * width + Math.floor(i / height)]!);
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}

function gaussian(random: () => number): () => number {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
