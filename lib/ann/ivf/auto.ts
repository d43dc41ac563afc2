/** Fewer rows a list than this are too few to place its centre (the least that faiss asks is 39). */
const MIN_ROWS_PER_LIST = 32;

/** Lists of an index of `size` rows: as many as asked, by default 4 sqrt(n); never more than there are rows. */
export function numListsFor(numLists: number, size: number): number {
  if (numLists > 0) return Math.min(numLists, size);
  return Math.max(Math.min(Math.round(4 * Math.sqrt(size)), Math.floor(size / MIN_ROWS_PER_LIST)), Math.min(size, 1));
}

/** Lists that a query looks at: as many as asked, by default sqrt(numLists) and 8 at least. */
export function nprobeFor(nprobe: number, numLists: number): number {
  return Math.min(nprobe > 0 ? nprobe : Math.max(8, Math.ceil(Math.sqrt(numLists))), numLists);
}
