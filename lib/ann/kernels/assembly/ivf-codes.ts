import { dot } from './distance';
import { align64, Best, Ivf } from './ivf-index';
import { pq4Scan, pq4Tables, pq8Scan } from './pq';
import { sqQuery, sqScan } from './ivf-sq';
import { cellScores } from './kmeans';

/*
 * Scores from codes. A row is its cell's centre c plus what its code stands for, p, so that with w = 2 under L2, else 1
 *   q.x ~ q.c + q.p        -|q - x|^2 ~ -|q - c|^2 + 2 q.p - (2 c.p + |p|^2)
 * where the last bracket depends on the row alone and is stored with it (rowBias): tables depend on the query alone and serve
 * all lists. q and c are taken less the mean under L2.
 * A query's scratch: f32 constants [64 bytes], the rotated query, its tables.
 */
const HEAD: usize = 64;

export function codeScratch(ivf: Ivf): usize {
  return HEAD + align64((<usize>ivf.dim) << 2) + align64((<usize>ivf.m) << 10) + align64((<usize>ivf.dim + 16) << 1);
}

/** Constants: 0 what every score has, 4 and 8 those of the code. */
export function tablesOfQuery(ivf: Ivf, query: usize, scratch: usize): void {
  const tables = scratch + HEAD + align64((<usize>ivf.dim) << 2);
  const weight: f32 = ivf.metric === 0 ? 1 : 2;
  store<f32>(scratch, ivf.metric === 0 ? 0 : -dot(query, query, ivf.dim));
  if (ivf.codesKind === 1) {
    sqQuery(ivf, query, weight, scratch, tables);
    return;
  }
  let rotated = query;
  if (ivf.rotation !== 0) {
    rotated = scratch + HEAD;
    products(query, 0, 1, ivf.rotation, ivf.dim, ivf.dim, rotated);
  }
  const numCentres = ivf.codesKind === 2 ? 256 : 16;
  subScores(ivf, rotated, ivf.zeros, 0, numCentres, tables);
  if (weight !== 1) {
    const end = tables + ((<usize>(ivf.m * numCentres)) << 2);
    for (let at = tables; at < end; at += 16) v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(weight)));
  }
  if (ivf.codesKind === 3) pq4Tables(ivf, tables, scratch);
}

/** Offers a list's rows by their codes. */
export function scanListCodes(ivf: Ivf, list: i32, query: usize, scratch: usize, best: Best, allowed: usize): void {
  const tables = scratch + HEAD + align64((<usize>ivf.dim) << 2);
  // The bias under L2 is -|c|^2 / 2.
  const product = dot(query, ivf.centres + <usize>list * <usize>ivf.dim * 4, ivf.dim);
  const cellScore = product + load<f32>(ivf.cellBias + ((<usize>list) << 2));
  const base = load<f32>(scratch) + (ivf.metric === 0 ? cellScore : 2 * cellScore);
  if (ivf.codesKind === 1) sqScan(ivf, list, base, scratch, tables, best, allowed);
  else if (ivf.codesKind === 2) pq8Scan(ivf, list, base, tables, best, allowed);
  else pq4Scan(ivf, list, base, scratch, tables, best, allowed);
}

/** Inner products of each sub-vector with its `numCentres` centres, plus the bias: f32 [m, numCentres]. */
export function subScores(ivf: Ivf, vector: usize, bias: usize, biasStep: usize, numCentres: i32, out: usize): void {
  const dsub = ivf.dim / ivf.m;
  const step = (<usize>(dsub * numCentres)) << 2;
  for (let j = 0; j < ivf.m; j++) {
    const at = <usize>j;
    const panels = ivf.codebooks + at * step;
    const to = out + at * ((<usize>numCentres) << 2);
    cellScores(vector + at * ((<usize>dsub) << 2), dsub, panels, bias + at * biasStep, numCentres >> 3, to);
  }
}

/** out[i, j] = a[i] . b[j] for the rows [from, to) of a; all f32 and row-major. */
export function products(a: usize, from: i32, to: i32, b: usize, numB: i32, dim: i32, out: usize): void {
  const stride = (<usize>dim) << 2;
  for (let i = from; i < to; i++) {
    for (let j = 0; j < numB; j++) {
      store<f32>(
        out + ((<usize>i * <usize>numB + <usize>j) << 2),
        dot(a + <usize>i * stride, b + <usize>j * stride, dim),
      );
    }
  }
}
