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
 * without any equal label in the catalogue counts as a miss. Equal scores rank by ascending catalogue row. Without queries there
 * is nothing to state: no recall, and null for mAP.
 * @throws LookalikeError `nonFinite` | `dimensionMismatch`
 */
export function evaluateRetrieval(input: RetrievalInput): RetrievalQuality {
  return evaluateQueries(input).quality;
}

/** As {@link evaluateRetrieval}, and how each query fared: the 1-based rank of its first hit, 0 where there is none. */
export function evaluateQueries(input: RetrievalInput): { quality: RetrievalQuality; firstRanks: Int32Array } {
  const { dim, queryLabels, catalogueLabels, ks } = input;
  const numQueries = queryLabels.length;
  const numCatalogue = catalogueLabels.length;
  const queries = normalised(input.queries, numQueries, dim, 'queries');
  const catalogue = normalised(input.catalogue, numCatalogue, dim, 'catalogue');
  const hits = ks.map(() => 0);
  let precisionSum = 0;
  const firstRanks = new Int32Array(numQueries);
  const scores = new Float32Array(BLOCK * numCatalogue);
  for (let from = 0; from < numQueries; from += BLOCK) {
    const rows = Math.min(BLOCK, numQueries - from);
    scoreBlock(queries, from, rows, catalogue, numCatalogue, dim, scores);
    for (let i = 0; i < rows; i++) {
      const label = queryLabels[from + i]!;
      const ranks = ranksOfHits(scores.subarray(i * numCatalogue, (i + 1) * numCatalogue), catalogueLabels, label);
      const first = ranks[0];
      if (first === undefined) continue;
      firstRanks[from + i] = first;
      ks.forEach((k, j) => (hits[j]! += first <= k ? 1 : 0));
      precisionSum += ranks.reduce((sum, rank, n) => sum + (n + 1) / rank, 0) / ranks.length;
    }
  }
  if (numQueries === 0) return { quality: { numQueries, numCatalogue, recall: {}, mAP: null }, firstRanks };
  const recall = Object.fromEntries(ks.map((k, j) => [String(k), hits[j]! / numQueries]));
  return { quality: { numQueries, numCatalogue, recall, mAP: precisionSum / numQueries }, firstRanks };
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

/**
 * Cosines of a block of queries with the whole catalogue. A tile of two queries by four rows at a time, so that each value that
 * is loaded serves several products, and eight sums run side by side. Every cosine is summed in the same order, wherever its tile
 * lies: equal vectors get equal scores, to the bit.
 */
function scoreBlock(
  queries: Float32Array,
  from: number,
  numRows: number,
  catalogue: Float32Array,
  numCatalogue: number,
  dim: number,
  scores: Float32Array,
): void {
  const lastRow = numCatalogue - 1;
  for (let row = 0; row < numCatalogue; row += 4) {
    // Where the tile overhangs the end, its last row is computed again instead of by another loop.
    const [row1, row2, row3] = [Math.min(row + 1, lastRow), Math.min(row + 2, lastRow), Math.min(row + 3, lastRow)];
    const [at0, at1, at2, at3] = [row * dim, row1 * dim, row2 * dim, row3 * dim];
    for (let i = 0; i < numRows; i += 2) {
      const k = Math.min(i + 1, numRows - 1);
      const [query0, query1] = [(from + i) * dim, (from + k) * dim];
      let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let j = 0; j < dim; j++) {
        const a = queries[query0 + j]!;
        const b = queries[query1 + j]!;
        const c0 = catalogue[at0 + j]!;
        const c1 = catalogue[at1 + j]!;
        const c2 = catalogue[at2 + j]!;
        const c3 = catalogue[at3 + j]!;
        a0 += a * c0;
        a1 += a * c1;
        a2 += a * c2;
        a3 += a * c3;
        b0 += b * c0;
        b1 += b * c1;
        b2 += b * c2;
        b3 += b * c3;
      }
      const [left, right] = [i * numCatalogue, k * numCatalogue];
      scores[left + row] = a0;
      scores[left + row1] = a1;
      scores[left + row2] = a2;
      scores[left + row3] = a3;
      scores[right + row] = b0;
      scores[right + row1] = b1;
      scores[right + row2] = b2;
      scores[right + row3] = b3;
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
