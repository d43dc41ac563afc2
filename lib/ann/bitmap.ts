import { LookalikeError } from '../../contracts/errors.ts';

/** A set of rows: bit i, least significant first in each 32-bit word. */
export function createBitmap(numRows: number): Uint32Array {
  return new Uint32Array(Math.ceil(numRows / 32));
}

export function setBit(bitmap: Uint32Array, row: number): void {
  bitmap[row >>> 5]! |= 1 << (row & 31);
}

export function clearBit(bitmap: Uint32Array, row: number): void {
  bitmap[row >>> 5]! &= ~(1 << (row & 31));
}

export function hasBit(bitmap: Uint32Array, row: number): boolean {
  return ((bitmap[row >>> 5]! >>> (row & 31)) & 1) === 1;
}

/** Number of set bits among the first `numRows`. */
export function countBits(bitmap: Uint32Array, numRows: number): number {
  const words = numRows >>> 5;
  let count = 0;
  for (let i = 0; i < words; i++) count += popcount(bitmap[i]!);
  const rest = numRows & 31;
  return rest === 0 ? count : count + popcount(bitmap[words]! & ((1 << rest) - 1));
}

/** @throws LookalikeError `invalidInput` when the bitmap is too short for the rows */
export function checkBitmap(bitmap: Uint32Array | undefined, numRows: number): void {
  const expected = Math.ceil(numRows / 32);
  if (bitmap !== undefined && bitmap.length < expected) {
    throw new LookalikeError(
      'invalidInput',
      `Expected \`allowed\` to have ${expected} words for ${numRows} rows, got ${bitmap.length}.`,
    );
  }
}

/** Bits in one word, by adding neighbours in parallel. */
function popcount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
