import type { IvfSpec } from '../../../contracts/ann.ts';
import type { Vectors } from '../vectors.ts';
import { numPanelsOf } from './panels.ts';
import type { PartName } from './parts.ts';

/** Codes of 4-bit lists come in blocks of so many rows, and rows' biases are read by the block. */
export const BLOCK_ROWS = 32;

/** Bytes of each part that an index of this spec has. */
export function expectedBytes(
  { codes, metric }: IvfSpec,
  { dim, size }: Pick<Vectors, 'dim' | 'size'>,
  offsets: Int32Array,
): Partial<Record<PartName, number>> {
  const panelBytes = numPanelsOf(offsets.length - 1) * 32;
  const isL2 = metric === 'l2';
  const lists = {
    ...{ offsets: offsets.byteLength, ids: size * 4, panels: panelBytes * dim, cellBias: panelBytes },
    ...(isL2 ? { mean: dim * 4 } : {}),
  };
  if (codes.kind === 'flat') return lists;
  const coded = { ...lists, ...(isL2 ? { rowBias: (size + BLOCK_ROWS) * 4 } : {}) };
  if (codes.kind === 'sq8') {
    return { ...coded, codes: size * sqStride(dim), steps: dim * 4, middles: dim * 4, rowSums: size * 4 };
  }
  return {
    ...coded,
    codes: codes.bits === 8 ? size * codes.m : numBlocks(offsets) * codes.m * 16,
    codebooks: dim * 2 ** codes.bits * 4,
    ...(codes.opq ? { rotation: dim * dim * 4 } : {}),
  };
}

/** Codes of a row are padded to whole registers. */
export const sqStride = (dim: number): number => Math.ceil(dim / 16) * 16;

export function numBlocks(offsets: Int32Array): number {
  let count = 0;
  for (let list = 1; list < offsets.length; list++) {
    count += Math.ceil((offsets[list]! - offsets[list - 1]!) / BLOCK_ROWS);
  }
  return count;
}
