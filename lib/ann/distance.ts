import type { Metric } from '../../contracts/ann.ts';

/**
 * Shapes: `query` f32 [dim]; `rows` f32 [n, dim], row-major; `offset` = row * dim.
 * Eight accumulators break the chain of dependent additions, which is what bounds a plain loop. Sums are f64 and rounded to
 * f32 at the end, so a score is the same number wherever it is computed.
 */
export function dot(query: Float32Array, rows: Float32Array, offset: number, dim: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let s4 = 0;
  let s5 = 0;
  let s6 = 0;
  let s7 = 0;
  let i = 0;
  for (const end = dim - 7; i < end; i += 8) {
    const o = offset + i;
    s0 += query[i]! * rows[o]!;
    s1 += query[i + 1]! * rows[o + 1]!;
    s2 += query[i + 2]! * rows[o + 2]!;
    s3 += query[i + 3]! * rows[o + 3]!;
    s4 += query[i + 4]! * rows[o + 4]!;
    s5 += query[i + 5]! * rows[o + 5]!;
    s6 += query[i + 6]! * rows[o + 6]!;
    s7 += query[i + 7]! * rows[o + 7]!;
  }
  for (; i < dim; i++) s0 += query[i]! * rows[offset + i]!;
  return Math.fround(s0 + s1 + (s2 + s3) + (s4 + s5 + (s6 + s7)));
}

/** Negative squared Euclidean distance: higher is nearer. */
export function negativeL2(query: Float32Array, rows: Float32Array, offset: number, dim: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (const end = dim - 3; i < end; i += 4) {
    const o = offset + i;
    const d0 = query[i]! - rows[o]!;
    const d1 = query[i + 1]! - rows[o + 1]!;
    const d2 = query[i + 2]! - rows[o + 2]!;
    const d3 = query[i + 3]! - rows[o + 3]!;
    s0 += d0 * d0;
    s1 += d1 * d1;
    s2 += d2 * d2;
    s3 += d3 * d3;
  }
  for (; i < dim; i++) {
    const d = query[i]! - rows[offset + i]!;
    s0 += d * d;
  }
  return -Math.fround(s0 + s1 + (s2 + s3));
}

export type Score = (query: Float32Array, rows: Float32Array, offset: number, dim: number) => number;

/** Cosine is the dot product of unit vectors: rows and queries are normalised on the way in. */
export function scoreOf(metric: Metric): Score {
  return metric === 'l2' ? negativeL2 : dot;
}

/** `vector / |vector|`; a zero vector stays zero and scores 0 against everything. */
export function normalised(vector: Float32Array): Float32Array {
  let sum = 0;
  for (const value of vector) sum += value * value;
  const scale = sum > 0 ? 1 / Math.sqrt(sum) : 0;
  return vector.map((value) => value * scale);
}
