/** A block's estimates for a slice of queries, 4 bytes each: 1 MiB, which stays in the cache between being written and read. */
export const BLOCK_ROWS = 1024;
export const SLICE_QUERIES = 256;
/** Kernels take so many queries at once. */
const GROUP = 16;
/** What a slice's queries and best rows, and rows copied for a block, may take, about: room does not grow with what is asked. */
const MAX_SLICE_BYTES = 4 << 20;

/** Queries [from, to) against the rows [first, end) of all, or of the list. */
export interface Strand {
  slice: number;
  from: number;
  to: number;
  first: number;
  end: number;
}

export interface BlockPlan {
  /** Queries of a slice with those that fill it up, a multiple of 16. */
  width: number;
  blockRows: number;
  /** Worth having under way at once. */
  lanes: number;
  strands: Strand[];
}

/** Cuts a batch: by queries first, whose best rows then belong to one strand, and by rows where these are too few for all threads. */
export function planBlocks(count: number, numRows: number, dim: number, k: number, threads: number): BlockPlan {
  const lanes = 2 * threads;
  const fitting = Math.floor(MAX_SLICE_BYTES / (8 * k + 6 * dim) / GROUP) * GROUP;
  const most = Math.min(SLICE_QUERIES, Math.max(GROUP, fitting));
  let numSlices = Math.ceil(count / most);
  if (numSlices > threads) numSlices = Math.ceil(numSlices / threads) * threads;
  const width = Math.ceil(count / numSlices / GROUP) * GROUP;
  numSlices = Math.ceil(count / width);
  const blockRows = Math.min(BLOCK_ROWS, Math.max(GROUP, Math.floor(MAX_SLICE_BYTES / (5 * dim))));
  const numParts = Math.max(1, Math.ceil(lanes / numSlices));
  const part = Math.ceil(numRows / numParts / blockRows) * blockRows;
  const strands: Strand[] = [];
  for (let slice = 0; slice < numSlices; slice++) {
    const [from, to] = [slice * width, Math.min(count, (slice + 1) * width)];
    for (let first = 0; first < numRows; first += part) {
      strands.push({ slice, from, to, first, end: Math.min(numRows, first + part) });
    }
  }
  return { width, blockRows, lanes: Math.min(lanes, strands.length), strands };
}
