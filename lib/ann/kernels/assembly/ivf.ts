import { dot, score } from './distance';
import { heapPush, heapSort } from './heap';
import { align64, Best, Ivf, keepBest, setSlack } from './ivf-index';
import { chooseLists, coarseScratch, shift } from './ivf-coarse';
import { scanListFlat, scanListFlatByFour } from './ivf-flat';
import { codeScratch, scanListCodes, tablesOfQuery } from './ivf-codes';

const BEST_BYTES: usize = offsetof<Best>();

/** The length of the longest row. */
export function ivfLargestNorm(rows: usize, dim: i32, size: i32): f32 {
  let largest: f32 = 0;
  for (let i = 0; i < size; i++) {
    const row = rows + <usize>i * <usize>dim * 4;
    largest = max<f32>(largest, dot(row, row, dim));
  }
  // A trace more, for the rounding of the sum itself.
  return sqrt<f32>(largest) * 1.001;
}

/** Candidates that are held before they are cut back to `capacity`. */
function roomOf(capacity: i32): i32 {
  return capacity + 16 + (capacity >> 1);
}

/** Bytes at `scratch` that `ivfSearch` needs. */
export function ivfScratch(index: usize, count: i32, nprobe: i32, numCandidates: i32): i32 {
  const ivf = changetype<Ivf>(index);
  const dim = <usize>ivf.dim;
  const n = <usize>count;
  let bytes = align64(n * dim * 4) + align64(coarseScratch(ivf));
  bytes += align64(n * <usize>nprobe * 4) * 3 + align64(n * 4) + align64(n * BEST_BYTES);
  bytes +=
    align64(n * <usize>roomOf(numCandidates) * 4) * 2 + align64((<usize>ivf.numLists + 1) * 4) + align64(dim * 16 + 64);
  return <i32>(bytes + codeScratch(ivf));
}

/**
 * Answers `count` queries (f32 [count, dim]) from the `nprobe` nearest lists of each: rows i32 [count, k] and scores, best
 * first, and how many there are in counts i32 [count]. Rows of flat lists are answered with the scores of a scan. By codes,
 * `numCandidates` rows are chosen; with `rescore` they are compared again in f32, which gives the scores; without, the codes'
 * scores are answered.
 */
export function ivfSearch(
  index: usize,
  queries: usize,
  count: i32,
  nprobe: i32,
  numCandidates: i32,
  k: i32,
  rescore: i32,
  allowed: usize,
  scratch: usize,
  rows: usize,
  scores: usize,
  counts: usize,
): void {
  const ivf = changetype<Ivf>(index);
  const n = <usize>count;
  const shifted = ivf.mean === 0 ? queries : scratch;
  const coarse = scratch + align64(n * <usize>ivf.dim * 4);
  const probeScores = coarse + align64(coarseScratch(ivf));
  const probeBytes = align64(n * <usize>nprobe * 4);
  const probes = probeScores + probeBytes;
  const pairs = probes + probeBytes;
  const numProbes = pairs + probeBytes;
  const bests = numProbes + align64(n * 4);
  const room = roomOf(numCandidates);
  const heapBytes = align64(n * <usize>room * 4);
  const heaps = bests + align64(n * BEST_BYTES);
  const starts = heaps + 2 * heapBytes;
  const pack = starts + align64((<usize>ivf.numLists + 1) * 4);
  const codes = pack + align64(<usize>ivf.dim * 16 + 64);

  if (ivf.mean !== 0) shift(ivf, queries, count, shifted);
  for (let i = 0; i < count; i++) {
    const best = changetype<Best>(bests + <usize>i * BEST_BYTES);
    best.threshold = f32.NEGATIVE_INFINITY;
    best.limit = f32.NEGATIVE_INFINITY;
    setSlack(best, ivf, queries + <usize>i * <usize>ivf.dim * 4);
    best.size = 0;
    best.capacity = numCandidates;
    best.room = room;
    best.scores = heaps + <usize>i * <usize>room * 4;
    best.rows = best.scores + heapBytes;
  }
  chooseLists(ivf, shifted, count, nprobe, coarse, probes, probeScores, numProbes);
  if (ivf.codesKind !== 0) {
    for (let i = 0; i < count; i++) {
      const best = changetype<Best>(bests + <usize>i * BEST_BYTES);
      const query = shifted + <usize>i * <usize>ivf.dim * 4;
      tablesOfQuery(ivf, query, codes);
      const at = <usize>i * <usize>nprobe * 4;
      const found = load<i32>(numProbes + ((<usize>i) << 2));
      heapSort(probeScores + at, probes + at, found);
      for (let j = 0; j < found; j++) {
        scanListCodes(ivf, load<i32>(probes + at + ((<usize>j) << 2)), query, codes, best, allowed);
      }
    }
  } else if (count === 1) {
    heapSort(probeScores, probes, load<i32>(numProbes));
    for (let j = 0; j < load<i32>(numProbes); j++) {
      scanListFlat(ivf, load<i32>(probes + ((<usize>j) << 2)), queries, changetype<Best>(bests), allowed);
    }
  } else {
    scanByList(ivf, queries, count, nprobe, probes, numProbes, starts, pairs, bests, pack, allowed);
  }
  for (let i = 0; i < count; i++) {
    const best = changetype<Best>(bests + <usize>i * BEST_BYTES);
    keepBest(best);
    const out = <usize>i * <usize>k * 4;
    const query = queries + <usize>i * <usize>ivf.dim * 4;
    const found =
      rescore !== 0
        ? rescored(ivf, query, best, k, scores + out, rows + out)
        : copied(best, k, scores + out, rows + out);
    heapSort(scores + out, rows + out, found);
    store<i32>(counts + ((<usize>i) << 2), found);
  }
}

/** As `ivfSearch`, by comparing each query with every allowed row. */
export function ivfScan(
  index: usize,
  queries: usize,
  count: i32,
  k: i32,
  allowed: usize,
  rows: usize,
  scores: usize,
  counts: usize,
): void {
  const ivf = changetype<Ivf>(index);
  const stride = (<usize>ivf.dim) << 2;
  for (let i = 0; i < count; i++) {
    const query = queries + <usize>i * stride;
    const heapScores = scores + <usize>i * <usize>k * 4;
    const heapRows = rows + <usize>i * <usize>k * 4;
    let size = 0;
    if (allowed === 0) {
      for (let at = 0; at < ivf.size; at++) {
        const found = score(ivf.metric, query, ivf.rows + <usize>at * stride, ivf.dim);
        if (size === k && found < load<f32>(heapScores)) continue;
        size = heapPush(heapScores, heapRows, size, k, found, load<i32>(ivf.ids + ((<usize>at) << 2)));
      }
    } else {
      for (let first = 0; first < ivf.size; first += 32) {
        let word = load<u32>(allowed + ((<usize>(first >>> 5)) << 2));
        if (ivf.size - first < 32) word &= (1 << (ivf.size - first)) - 1;
        for (; word !== 0; word &= word - 1) {
          const row = first + <i32>ctz<u32>(word);
          const at = load<i32>(ivf.positions + ((<usize>row) << 2));
          const found = score(ivf.metric, query, ivf.rows + <usize>at * stride, ivf.dim);
          size = heapPush(heapScores, heapRows, size, k, found, row);
        }
      }
    }
    heapSort(heapScores, heapRows, size);
    store<i32>(counts + ((<usize>i) << 2), size);
  }
}

/** Each list's rows are read once for all queries that probe it, four queries at a time. */
function scanByList(
  ivf: Ivf,
  queries: usize,
  count: i32,
  nprobe: i32,
  probes: usize,
  numProbes: usize,
  starts: usize,
  pairs: usize,
  bests: usize,
  pack: usize,
  allowed: usize,
): void {
  memory.fill(starts, 0, (<usize>ivf.numLists + 1) * 4);
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < load<i32>(numProbes + ((<usize>i) << 2)); j++) {
      const at = starts + ((<usize>load<i32>(probes + ((<usize>(i * nprobe + j)) << 2))) << 2);
      store<i32>(at, load<i32>(at) + 1);
    }
  }
  let total = 0;
  for (let list = 0; list <= ivf.numLists; list++) {
    const at = starts + ((<usize>list) << 2);
    const here = load<i32>(at);
    store<i32>(at, total);
    total += here;
  }
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < load<i32>(numProbes + ((<usize>i) << 2)); j++) {
      const at = starts + ((<usize>load<i32>(probes + ((<usize>(i * nprobe + j)) << 2))) << 2);
      const slot = load<i32>(at);
      store<i32>(pairs + ((<usize>slot) << 2), i);
      store<i32>(at, slot + 1);
    }
  }
  // Each start has moved to the next list's.
  let from = 0;
  for (let list = 0; list < ivf.numLists; list++) {
    const to = load<i32>(starts + ((<usize>list) << 2));
    for (; from + 2 <= to; from += 4) {
      scanListFlatByFour(ivf, list, queries, pairs + ((<usize>from) << 2), min(4, to - from), bests, pack, allowed);
    }
    for (; from < to; from++) {
      const i = <usize>load<i32>(pairs + ((<usize>from) << 2));
      scanListFlat(ivf, list, queries + i * <usize>ivf.dim * 4, changetype<Best>(bests + i * BEST_BYTES), allowed);
    }
    from = to;
  }
}

function rescored(ivf: Ivf, query: usize, best: Best, k: i32, scores: usize, rows: usize): i32 {
  let size = 0;
  for (let i = 0; i < best.size; i++) {
    const row = load<i32>(best.rows + ((<usize>i) << 2));
    const at = <usize>load<i32>(ivf.positions + ((<usize>row) << 2));
    size = heapPush(scores, rows, size, k, score(ivf.metric, query, ivf.rows + at * <usize>ivf.dim * 4, ivf.dim), row);
  }
  return size;
}

function copied(best: Best, k: i32, scores: usize, rows: usize): i32 {
  let size = 0;
  for (let i = 0; i < best.size; i++) {
    const at = (<usize>i) << 2;
    size = heapPush(scores, rows, size, k, load<f32>(best.scores + at), load<i32>(best.rows + at));
  }
  return size;
}
