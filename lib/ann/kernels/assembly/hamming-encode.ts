import { Codes } from './hamming-layout';
import { matrixAdd } from './hamming-matrix';

/** Rows that are projected at once. */
const BLOCK: i32 = 16;

/** Codes of the rows [from, to). `scratch`: f32 [16, bits]. */
export function hashEncode(at: usize, from: i32, to: i32, scratch: usize): void {
  const codes = changetype<Codes>(at);
  const lastWeights = codes.weights + ((<usize>(codes.dim * codes.bits)) << 2);
  const codeBytes = (<usize>codes.bits) >>> 3;
  const sumBytes = (<usize>codes.bits) << 2;
  for (let first = from; first < to; first += BLOCK) {
    const count = min(BLOCK, to - first);
    for (let i = 0; i < count; i++) memory.copy(scratch + <usize>i * sumBytes, codes.rowBias, sumBytes);
    const rows = codes.data + <usize>first * codes.dim * 4;
    matrixAdd(rows, codes.dim, 1, count, codes.dim, codes.weights, codes.bits, scratch);
    if (codes.lift !== 0) matrixAdd(codes.lift + <usize>first * 4, 1, 1, count, 1, lastWeights, codes.bits, scratch);
    for (let i = 0; i < count; i++) {
      pack(scratch + <usize>i * sumBytes, codes.bits, codes.codes + <usize>(first + i) * codeBytes);
    }
  }
}

/** Code of a query. `scratch`: f32 [bits]. */
export function encodeQuery(codes: Codes, query: usize, scratch: usize, out: usize): void {
  memory.copy(scratch, codes.queryBias, (<usize>codes.bits) << 2);
  matrixAdd(query, codes.dim, 1, 1, codes.dim, codes.weights, codes.bits, scratch);
  pack(scratch, codes.bits, out);
}

function pack(values: usize, bits: i32, out: usize): void {
  for (let byte = 0; byte < bits >> 3; byte++) {
    const zero = f32x4.splat(0);
    const low = i32x4.bitmask(f32x4.gt(v128.load(values), zero));
    const high = i32x4.bitmask(f32x4.gt(v128.load(values, 16), zero));
    store<u8>(out + byte, low | (high << 4));
    values += 32;
  }
}
