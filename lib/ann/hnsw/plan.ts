/** Comparing with this many rows one after the other takes as long as a walk takes for each row of its `ef`. */
const SCANNED_PER_WALKED = 16;
/** A walk that found too few allowed rows is repeated this much wider. */
const WIDER = 4;

/**
 * How wide a walk must be for `k` allowed rows among `size`, with what barred rows stand between them where the filter has
 * nothing to do with the query; three deviations are added. `undefined` where comparing with all allowed rows is as quick.
 *
 * What a walk of that width finds is as true as without a filter: whatever it left out is farther than all it has met. Walking
 * among the allowed rows alone, over links of links (ACORN-1, arXiv 2403.04871), was measured against it at 100,000 x 128,
 * ef 64: it keeps its recall down to a fifth of the rows, but at a tenth finds 0.969 and at a twentieth 0.838.
 */
export function widthFor(k: number, ef: number, numAllowed: number, size: number): number | undefined {
  const numBarred = size / numAllowed - 1;
  return worthIt(ef + Math.ceil((k + 3 * Math.sqrt(k)) * numBarred), numAllowed);
}

/** The next width after one that found too few. */
export function widerThan(width: number, numAllowed: number): number | undefined {
  return worthIt(width * WIDER, numAllowed);
}

function worthIt(width: number, numAllowed: number): number | undefined {
  return numAllowed <= SCANNED_PER_WALKED * width ? undefined : width;
}
