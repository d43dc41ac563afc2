import { Lsh, projectedSize } from './lsh-layout';
import { keyOf, project } from './lsh-project';

/** Keys of the rows [from, to): u32 [numTables, size]. `scratch`: f32 [numRotations, width]. */
export function lshHash(at: usize, from: i32, to: i32, keys: usize, scratch: usize): void {
  const lsh = changetype<Lsh>(at);
  for (let row = from; row < to; row++) {
    project(lsh, lsh.data + <usize>row * lsh.dim * 4, false, scratch);
    for (let t = 0; t < lsh.numTables; t++) {
      store<u32>(keys + (<usize>t * lsh.size + row) * 4, keyOf(lsh, scratch, t));
    }
  }
}

const DIGIT_BITS = 11;
const DIGITS = 1 << DIGIT_BITS;

/**
 * Fills a table from the keys of its rows (u32 [size], overwritten): radix sort, stable, so that a bucket's rows ascend.
 * `scratch`: u32 [2 size + 2048].
 */
export function lshFill(at: usize, table: i32, keys: usize, scratch: usize): void {
  const lsh = changetype<Lsh>(at);
  const n = lsh.size;
  const bytes = (<usize>n) << 2;
  let rows = lsh.rows + <usize>table * bytes;
  let otherKeys = scratch;
  let otherRows = scratch + bytes;
  const counts = scratch + 2 * bytes;
  const ownRows = rows;
  for (let i = 0; i < n; i++) store<i32>(rows + ((<usize>i) << 2), i);
  for (let shift = 0; shift < lsh.keyBits; shift += DIGIT_BITS) {
    memory.fill(counts, 0, DIGITS * 4);
    for (let i: usize = 0; i < bytes; i += 4) {
      const digit = counts + digitOf(load<u32>(keys + i), shift);
      store<u32>(digit, load<u32>(digit) + 1);
    }
    let start: u32 = 0;
    for (let d: usize = 0; d < (<usize>DIGITS) << 2; d += 4) {
      const count = load<u32>(counts + d);
      store<u32>(counts + d, start);
      start += count;
    }
    for (let i: usize = 0; i < bytes; i += 4) {
      const digit = counts + digitOf(load<u32>(keys + i), shift);
      const to = (<usize>load<u32>(digit)) << 2;
      store<u32>(digit, load<u32>(digit) + 1);
      store<u32>(otherKeys + to, load<u32>(keys + i));
      store<i32>(otherRows + to, load<i32>(rows + i));
    }
    let swap = keys;
    keys = otherKeys;
    otherKeys = swap;
    swap = rows;
    rows = otherRows;
    otherRows = swap;
  }
  if (rows !== ownRows) memory.copy(ownRows, rows, bytes);
  if (lsh.keys !== 0) memory.copy(lsh.keys + <usize>table * bytes, keys, bytes);
  const ranges = 1 << lsh.directoryBits;
  const directory = lsh.directory + <usize>table * (ranges + 1) * 4;
  const rest = lsh.keyBits - lsh.directoryBits;
  let i = 0;
  for (let range = 0; range <= ranges; range++) {
    while (i < n && <i32>(load<u32>(keys + ((<usize>i) << 2)) >>> rest) < range) i++;
    store<u32>(directory + ((<usize>range) << 2), i);
  }
}

function digitOf(key: u32, shift: i32): usize {
  return (<usize>((key >>> shift) & (DIGITS - 1))) << 2;
}
