import { numbersOf } from './kmeans.ts';
import type { TrainingRows } from './kmeans.ts';

/** Below this share of the mean count a cell is too small, above this multiple too large. */
const TOO_SMALL = 1 / 16;
const TOO_LARGE = 2.5;

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

/** Moves each empty or tiny cell onto a random row of one of the largest, which thereby halves at the next step. */
export function repairCells({ centres, counts, cells, rows, count, random }: CellsToRepair): void {
  const mean = count / counts.length;
  const order = [...counts.keys()].sort((a, b) => counts[b]! - counts[a]! || a - b);
  const donorOf = new Map<number, number>();
  for (let small = order.length - 1, large = 0; large < small; small--, large++) {
    const [from, to] = [order[large]!, order[small]!];
    if (counts[to]! >= mean * TOO_SMALL || counts[from]! < 2) break;
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
}
