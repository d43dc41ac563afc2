import { heapSort } from './heap';
import { scanList } from './scan';
import { encodeQuery } from './hamming-encode';
import { Codes } from './hamming-layout';
import { barOf, finishSelection, select, selectionBytes, startSelection } from './hamming-select';

/** Rows whose codes stay in the second cache while every query of a call is compared with them; a multiple of 32. */
const BLOCK_ROWS: i32 = 8192;

/** Bytes of scratch for a call. */
export function hashScratch(at: usize, count: i32, k: i32, rescore: i32): i32 {
  const codes = changetype<Codes>(at);
  const room = roomOf(codes, k, rescore);
  const each = selectionBytes(codes.bits, room) + ((<usize>codes.bits) >>> 3);
  return <i32>(<usize>count * each + ((<usize>codes.bits) << 2) + ((<usize>room) << 3) + 64);
}

function roomOf(codes: Codes, k: i32, rescore: i32): i32 {
  return <i32>min<i64>(codes.size, <i64>k * max(1, rescore));
}

/**
 * Answers queries as `kdSearch` does: the `rescore` k rows of least Hamming distance, compared in f32; with `rescore` 0 the k
 * rows of least distance d, with scores 1 - 2 d / bits.
 */
export function hashSearch(
  at: usize,
  queries: usize,
  count: i32,
  allowed: usize,
  k: i32,
  rescore: i32,
  scratch: usize,
  scores: usize,
  rows: usize,
  info: usize,
): void {
  const codes = changetype<Codes>(at);
  const bits = codes.bits;
  const room = roomOf(codes, k, rescore);
  const codeBytes = (<usize>bits) >>> 3;
  const selectionStep = selectionBytes(bits, room);
  const ownCodes = scratch + <usize>count * selectionStep;
  const sums = ownCodes + <usize>count * codeBytes;
  const list = sums + ((<usize>bits) << 2);
  const distances = list + ((<usize>room) << 2);
  for (let i = 0; i < count; i++) {
    encodeQuery(codes, queries + <usize>i * codes.dim * 4, sums, ownCodes + <usize>i * codeBytes);
    startSelection(scratch + <usize>i * selectionStep, bits, room);
  }
  for (let first = 0; first < codes.size; first += BLOCK_ROWS) {
    const end = min(codes.size, first + BLOCK_ROWS);
    for (let i = 0; i < count; i++) {
      const selection = scratch + <usize>i * selectionStep;
      const own = ownCodes + <usize>i * codeBytes;
      if (allowed !== 0) scanAllowed(codes, own, first, end, allowed, selection);
      else if (bits === 64) scan64(codes, own, first, end, selection);
      else if (bits === 128) scan128(codes, own, first, end, selection);
      else scan256(codes, own, first, end, selection);
    }
  }
  for (let i = 0; i < count; i++) {
    const found = finishSelection(scratch + <usize>i * selectionStep, bits, list, distances);
    const outScores = scores + ((<usize>i * k) << 2);
    const outRows = rows + ((<usize>i * k) << 2);
    let size = found;
    if (rescore > 0) {
      const query = queries + <usize>i * codes.dim * 4;
      size = scanList(codes.data, codes.dim, list, found, query, codes.metric, k, outScores, outRows, 0);
      heapSort(outScores, outRows, size);
    } else {
      memory.copy(outRows, list, (<usize>found) << 2);
      for (let j: usize = 0; j < (<usize>found) << 2; j += 4) {
        store<f32>(outScores + j, 1 - (2 * <f32>load<i32>(distances + j)) / <f32>bits);
      }
    }
    store<i32>(info + ((<usize>i) << 3), size);
    store<i32>(info + ((<usize>i) << 3), rescore > 0 ? found : 0, 4);
  }
}

function scan64(codes: Codes, own: usize, first: i32, end: i32, selection: usize): void {
  const a = load<u64>(own);
  let bar = barOf(selection);
  let at = codes.codes + ((<usize>first) << 3);
  for (let row = first; row < end; row++, at += 8) {
    const distance = <i32>popcnt<u64>(load<u64>(at) ^ a);
    if (distance < bar) bar = select(selection, 64, row, distance);
  }
}

function scan128(codes: Codes, own: usize, first: i32, end: i32, selection: usize): void {
  const a = load<u64>(own);
  const b = load<u64>(own, 8);
  let bar = barOf(selection);
  let at = codes.codes + ((<usize>first) << 4);
  for (let row = first; row < end; row++, at += 16) {
    const distance = <i32>(popcnt<u64>(load<u64>(at) ^ a) + popcnt<u64>(load<u64>(at, 8) ^ b));
    if (distance < bar) bar = select(selection, 128, row, distance);
  }
}

function scan256(codes: Codes, own: usize, first: i32, end: i32, selection: usize): void {
  const a = load<u64>(own);
  const b = load<u64>(own, 8);
  const c = load<u64>(own, 16);
  const d = load<u64>(own, 24);
  let bar = barOf(selection);
  let at = codes.codes + ((<usize>first) << 5);
  for (let row = first; row < end; row++, at += 32) {
    const left = popcnt<u64>(load<u64>(at) ^ a) + popcnt<u64>(load<u64>(at, 8) ^ b);
    const right = popcnt<u64>(load<u64>(at, 16) ^ c) + popcnt<u64>(load<u64>(at, 24) ^ d);
    const distance = <i32>(left + right);
    if (distance < bar) bar = select(selection, 256, row, distance);
  }
}

/** Rows of the bitmap alone; words without a bit cost one load. */
function scanAllowed(codes: Codes, own: usize, first: i32, end: i32, allowed: usize, selection: usize): void {
  const codeBytes = (<usize>codes.bits) >>> 3;
  let bar = barOf(selection);
  for (let start = first; start < end; start += 32) {
    let word = load<u32>(allowed + ((<usize>(start >>> 5)) << 2));
    if (end - start < 32) word &= (1 << (end - start)) - 1;
    for (; word !== 0; word &= word - 1) {
      const row = start + <i32>ctz<u32>(word);
      const at = codes.codes + <usize>row * codeBytes;
      let distance = 0;
      for (let i: usize = 0; i < codeBytes; i += 8) {
        distance += <i32>popcnt<u64>(load<u64>(at + i) ^ load<u64>(own + i));
      }
      if (distance < bar) bar = select(selection, codes.bits, row, distance);
    }
  }
}
