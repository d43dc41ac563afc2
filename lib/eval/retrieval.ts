import type { RetrievalQuality } from '../../contracts/training.ts';
import { LookalikeError } from '../../contracts/errors.ts';

/** Shapes: queries [Q, dim], catalogue [N, dim], row-major. Labels decide what counts as a hit. */
export interface RetrievalInput {
  dim: number;
  queries: Float32Array;
  queryLabels: ArrayLike<string | number>;
  catalogue: Float32Array;
  catalogueLabels: ArrayLike<string | number | null>;
  /** The k of recall@k, each at least 1. */
  ks: readonly number[];
}

/** Queries per block: their rows stay in the cache while the catalogue streams by. */
const BLOCK = 16;

/**
 * Exact retrieval by cosine. recall@k is the share of queries with an equal label among the k nearest; mAP is the mean over
 * queries of average precision over the whole ranking (Manning et al., Introduction to Information Retrieval, 8.4). A query
 * without any equal label in the catalogue counts as a miss. Equal scores rank by ascending catalogue row.
 * @throws LookalikeError `nonFinite` | `dimensionMismatch`
 */
export function evaluateRetrieval(input: RetrievalInput): RetrievalQuality {
  const { dim, queryLabels, catalogueLabels, ks } = input;
  const numQueries = queryLabels.length;
  const numCatalogue = catalogueLabels.length;
  const queries = normalised(input.queries, numQueries, dim, 'queries');
  const catalogue = normalised(input.catalogue, numCatalogue, dim, 'catalogue');
  const hits = ks.map(() => 0);
  let precisionSum = 0;
  const scores = new Float32Array(BLOCK * numCatalogue);
  for (let from = 0; from < numQueries; from += BLOCK) {
    const rows = Math.min(BLOCK, numQueries - from);
    scoreBlock(queries, from, rows, catalogue, numCatalogue, dim, scores);
    for (let i = 0; i < rows; i++) {
      const label = queryLabels[from + i]!;
      const ranks = ranksOfHits(scores.subarray(i * numCatalogue, (i + 1) * numCatalogue), catalogueLabels, label);
      const first = ranks[0];
      if (first === undefined) continue;
      ks.forEach((k, j) => (hits[j]! += first <= k ? 1 : 0));
      precisionSum += ranks.reduce((sum, rank, n) => sum + (n + 1) / rank, 0) / ranks.length;
    }
  }
  const share = (count: number): number => (numQueries === 0 ? 0 : count / numQueries);
  return {
    numQueries,
    numCatalogue,
    recall: Object.fromEntries(ks.map((k, j) => [String(k), share(hits[j]!)])),
    mAP: share(precisionSum),
  };
}

/** 1-based ranks, ascending, of the rows that carry the label. */
function ranksOfHits(
  scores: Float32Array,
  labels: RetrievalInput['catalogueLabels'],
  label: string | number,
): number[] {
  const hits: number[] = [];
  for (let row = 0; row < scores.length; row++) if (labels[row] === label) hits.push(row);
  if (hits.length === 0) return hits;
  hits.sort((a, b) => scores[b]! - scores[a]! || a - b);
  // Rank = how many rows stand before it: counted by one binary search per row over the hits, not by sorting everything.
  const before = new Int32Array(hits.length + 1);
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row]!;
    let [low, high] = [0, hits.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const hit = hits[middle]!;
      if (score > scores[hit]! || (score === scores[hit]! && row < hit)) high = middle;
      else low = middle + 1;
    }
    before[low]! += 1;
  }
  let standing = 0;
  return hits.map((_, n) => (standing += before[n]!) + 1);
}

function scoreBlock(
  queries: Float32Array,
  from: number,
  rows: number,
  catalogue: Float32Array,
  numCatalogue: number,
  dim: number,
  scores: Float32Array,
): void {
  for (let row = 0; row < numCatalogue; row++) {
    const at = row * dim;
    for (let i = 0; i < rows; i++) {
      const query = (from + i) * dim;
      // Four sums break the chain of dependent additions.
      let [a, b, c, d] = [0, 0, 0, 0];
      let j = 0;
      for (; j + 3 < dim; j += 4) {
        a += queries[query + j]! * catalogue[at + j]!;
        b += queries[query + j + 1]! * catalogue[at + j + 1]!;
        c += queries[query + j + 2]! * catalogue[at + j + 2]!;
        d += queries[query + j + 3]! * catalogue[at + j + 3]!;
      }
      for (; j < dim; j++) a += queries[query + j]! * catalogue[at + j]!;
      scores[i * numCatalogue + row] = a + b + (c + d);
    }
  }
}

function normalised(vectors: Float32Array, numRows: number, dim: number, what: string): Float32Array {
  if (vectors.length !== numRows * dim) {
    const expected = `${numRows} x ${dim} = ${numRows * dim}`;
    throw new LookalikeError('dimensionMismatch', `Expected ${what} of ${expected} values, got ${vectors.length}.`);
  }
  const out = new Float32Array(vectors.length);
  for (let row = 0; row < numRows; row++) {
    let squares = 0;
    for (let j = 0; j < dim; j++) squares += vectors[row * dim + j]! ** 2;
    if (!Number.isFinite(squares)) {
      throw new LookalikeError('nonFinite', `Expected finite values in ${what}, row ${row} holds NaN or infinity.`);
    }
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let j = 0; j < dim; j++) out[row * dim + j] = vectors[row * dim + j]! * scale;
  }
  return out;
}
