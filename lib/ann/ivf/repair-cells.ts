import { numbersOf } from './kmeans.ts';
import type { TrainingRows } from './kmeans.ts';

/** Below this share of the mean count a cell is too small, above this multiple too large. */
const TOO_SMALL = 1 / 16;
const TOO_LARGE = 2.5;
/** From this multiple on, a cell is halved even at the cost of one that is merely smaller than the mean. */
const CROWD = 5;

/** How far to either side, of the way to that row. */
const ASIDE = 0.25;

interface CellsToRepair {
  /** f32 [numCells, dim], changed in place. */
  centres: Float32Array;
  counts: Int32Array;
  /** The cell of each of the first `count` rows. */
  cells: Int32Array;
  rows: TrainingRows;
  count: number;
  random: () => number;
}

/**
 * Gives each empty or tiny cell, and small ones where there are crowds, to one of the largest: both are set beside its centre,
 * on either side along the way to a random row of it, so that it halves at the next step.
 */
export function repairCells({ centres, counts, cells, rows, count, random }: CellsToRepair): void {
  const mean = count / counts.length;
  const order = [...counts.keys()].sort((a, b) => counts[b]! - counts[a]! || a - b);
  const donorOf = new Map<number, number>();
  for (let small = order.length - 1, large = 0; large < small; small--, large++) {
    const [from, to] = [order[large]!, order[small]!];
    const isSpared = counts[from]! >= mean * CROWD ? counts[to]! >= mean : counts[to]! >= mean * TOO_SMALL;
    if (isSpared || counts[from]! < 2) break;
    if (counts[to]! > 0 && counts[from]! < mean * TOO_LARGE) break;
    donorOf.set(from, to);
  }
  if (donorOf.size === 0) return;
  const { stride, dim } = rows;
  const data = numbersOf(rows);
  const seen = new Map<number, number>();
  for (let row = 0; row < count; row++) {
    const to = donorOf.get(cells[row]!);
    if (to === undefined) continue;
    const met = (seen.get(to) ?? 0) + 1;
    seen.set(to, met);
    const start = (row * stride) / 4;
    // Reservoir sampling: the met-th row takes the place with probability 1 / met.
    if (random() * met < 1) centres.set(data.subarray(start, start + dim), to * dim);
  }
  for (const [from, to] of donorOf) {
    for (let d = 0; d < dim; d++) {
      const middle = centres[from * dim + d]!;
      const aside = ASIDE * (centres[to * dim + d]! - middle);
      centres[from * dim + d] = middle - aside;
      centres[to * dim + d] = middle + aside;
    }
  }
}
