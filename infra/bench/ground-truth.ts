import type { Neighbours } from '../../contracts/ann.ts';
import { createBuilder } from '../../lib/ann/index.ts';
import type { AnnMachine } from '../../contracts/ann.ts';
import type { Dataset } from './dataset.ts';
import { rowOf } from './vector-set.ts';

export interface GroundTruth {
  k: number;
  /** By query: the true nearest rows, best first. */
  neighbours: readonly Neighbours[];
}

/** The true neighbours of all queries by comparing f32 rows one and all. */
export async function groundTruth(
  { metric, rows, queries }: Dataset,
  k: number,
  machine: AnnMachine,
  signal: AbortSignal,
): Promise<GroundTruth> {
  const builder = createBuilder({ kind: 'exact', metric }, rows.dim, machine);
  for (let row = 0; row < rows.size; row++) builder.add(rowOf(rows, row));
  const index = await builder.build(signal);
  return { k, neighbours: await index.searchBatch(queries.data, { k, signal }) };
}

/** Scores this much apart, of their size, are equal: libraries sum in another order. */
const TOLERANCE = 1e-5;

/**
 * Part of the true k nearest that was found, 0..1. Rows [numQueries, k], -1 for none; a row as near as the last true one counts,
 * since among equals it does not matter which are named, but no row counts twice.
 */
export function recallOf(found: Int32Array, truth: GroundTruth, { metric, rows, queries }: Dataset): number {
  let hits = 0;
  let wanted = 0;
  for (const [i, { rows: nearest, scores }] of truth.neighbours.entries()) {
    wanted += nearest.length;
    const named = new Set(nearest);
    const last = scores.at(-1) ?? -Infinity;
    const enough = last - TOLERANCE * Math.max(1, Math.abs(last));
    const query = rowOf(queries, i);
    let count = 0;
    for (const row of new Set(found.subarray(i * truth.k, (i + 1) * truth.k))) {
      if (row < 0) continue;
      if (named.has(row) || score(query, rowOf(rows, row), metric === 'l2') >= enough) count++;
    }
    hits += Math.min(count, nearest.length);
  }
  return wanted === 0 ? 1 : hits / wanted;
}

function score(query: Float32Array, row: Float32Array, isL2: boolean): number {
  let sum = 0;
  for (let i = 0; i < query.length; i++) sum += isL2 ? -((query[i]! - row[i]!) ** 2) : query[i]! * row[i]!;
  return sum;
}
