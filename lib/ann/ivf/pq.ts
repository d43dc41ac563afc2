import type { IvfCodes } from '../../../contracts/ann.ts';
import type { RunCalls } from './call-runner.ts';
import { trainCells } from './kmeans.ts';
import type { TrainingRows } from './kmeans.ts';
import { halfNegativeSquare } from './panels.ts';

export type PqCodes = Extract<IvfCodes, { kind: 'pq' }>;

const WIDTH = 8;
const ITERATIONS = 12;
/** Rows to learn a sub-vector's centres from, for each centre. */
const ROWS_PER_CENTRE = 128;
const MIN_ROWS = 8192;

export const sampleSize = (bits: number): number => Math.max(MIN_ROWS, ROWS_PER_CENTRE * 2 ** bits);

/**
 * Product quantisation (Jegou, Douze & Schmid 2011, section II): k-means for each sub-vector by itself. Answers the centres,
 * f32 [m, 2^bits, dim / m]. With fewer rows than centres the rest repeat the first and are never chosen.
 */
export async function learnCodebooks(
  rows: TrainingRows,
  { m, bits }: PqCodes,
  random: () => number,
  run: RunCalls,
  iterations = ITERATIONS,
): Promise<Float32Array> {
  const dsub = rows.dim / m;
  const numCentres = 2 ** bits;
  const all = new Float32Array(numCentres * rows.dim);
  const numCells = Math.min(numCentres, rows.numRows);
  for (let j = 0; j < m; j++) {
    const sub = { ...rows, address: rows.address + j * dsub * 4, dim: dsub };
    const { centres } = await rows.kernels.longScratch(() =>
      trainCells(sub, { numCells, spherical: false, iterations, random, run }),
    );
    const at = j * numCentres * dsub;
    for (let i = 0; i < numCentres; i++) {
      const from = i < numCells ? i * dsub : 0;
      all.set(centres.subarray(from, from + dsub), at + i * dsub);
    }
  }
  return all;
}

/** The centres as kernels read them, panels [m, 2^bits / 8, dim / m, 8], and -|centre|^2 / 2 of each. */
export function packCodebooks(
  centres: Float32Array,
  dim: number,
  { m, bits }: PqCodes,
): { panels: Float32Array; halves: Float32Array } {
  const dsub = dim / m;
  const numCentres = 2 ** bits;
  const panels = new Float32Array(centres.length);
  for (let centre = 0; centre < m * numCentres; centre++) {
    const at = Math.floor(centre / WIDTH) * WIDTH * dsub + (centre % WIDTH);
    for (let d = 0; d < dsub; d++) panels[at + d * WIDTH] = centres[centre * dsub + d]!;
  }
  const halves = Float32Array.from({ length: m * numCentres }, (_, i) => halfNegativeSquare(centres, dsub, i));
  return { panels, halves };
}

/** Replaces each row of `rows` (f32 [numRows, dim]) by the nearest of what codes can stand for. */
export function decodeNearest(rows: Float32Array, dim: number, centres: Float32Array, { m, bits }: PqCodes): void {
  const dsub = dim / m;
  const numCentres = 2 ** bits;
  for (let start = 0; start < rows.length; start += dsub) {
    const first = ((start / dsub) % m) * numCentres;
    let best = first;
    let least = Infinity;
    for (let centre = first; centre < first + numCentres; centre++) {
      let distance = 0;
      for (let d = 0; d < dsub; d++) distance += (rows[start + d]! - centres[centre * dsub + d]!) ** 2;
      if (distance < least) {
        least = distance;
        best = centre;
      }
    }
    rows.set(centres.subarray(best * dsub, (best + 1) * dsub), start);
  }
}
