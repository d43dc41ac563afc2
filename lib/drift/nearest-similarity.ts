/**
 * Cosine of each query and its nearest row, as out-of-distribution detection by nearest neighbours measures distance (Sun et al.,
 * ICML 2022). Q = queries, N = rows; all vectors are of length one.
 *
 * @param queries [Q, dim]
 * @param rows [N, dim], N > 0
 */
export function nearestSimilarities(queries: readonly Float32Array[], rows: Float32Array, dim: number): Float64Array {
  return Float64Array.from(queries, (query) => nearest(query, rows, dim));
}

function nearest(query: Float32Array, rows: Float32Array, dim: number): number {
  let best = -Infinity;
  for (let at = 0; at < rows.length; at += dim) {
    let dot = 0;
    for (let i = 0; i < dim; i++) dot += query[i]! * rows[at + i]!;
    if (dot > best) best = dot;
  }
  return best;
}

/** Means of two samples, and the standard error of their difference (Welch); null where a sample is too small to tell. */
export function compareMeans(
  before: Float64Array,
  now: Float64Array,
): { before: number | null; now: number | null; standardError: number | null } {
  const [a, b] = [momentsOf(before), momentsOf(now)];
  const standardError =
    a.variance === null || b.variance === null ? null : Math.sqrt(a.variance / before.length + b.variance / now.length);
  return { before: a.mean, now: b.mean, standardError };
}

function momentsOf(values: Float64Array): { mean: number | null; variance: number | null } {
  const n = values.length;
  if (n === 0) return { mean: null, variance: null };
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, variance: null };
  return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1) };
}
