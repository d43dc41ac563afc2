import type { Neighbours } from '../../../contracts/ann.ts';
import type { Kernels } from '../kernels/kernels.ts';
import type { Call } from '../run-calls.ts';

/** How a search looks: what options, spec and filter come to. */
export interface Effort {
  plan: 'scan' | 'lists';
  /** Answers that there can be: k, or as many rows as are allowed. */
  wanted: number;
  numLists: number;
  nprobe: number;
  /** Rows that codes choose, of which `wanted` are answered. */
  numCandidates: number;
  /** Whether they are compared again in f32. */
  rescore: boolean;
}

/** Addresses of one call's queries, scratch and answers. */
export interface SearchRoom {
  queries: number;
  scratch: number;
  rows: number;
  scores: number;
  counts: number;
}

/** Room for `count` queries in one call, taken from the open scratch. */
export function searchRoom(
  kernels: Kernels,
  descriptor: number,
  dim: number,
  count: number,
  effort: Effort,
): SearchRoom {
  const scratchBytes =
    effort.plan === 'scan' ? 0 : kernels.run.ivfScratch(descriptor, count, effort.nprobe, effort.numCandidates);
  return {
    queries: kernels.allocate(count * dim * 4),
    scratch: kernels.allocate(scratchBytes),
    rows: kernels.allocate(count * effort.wanted * 4),
    scores: kernels.allocate(count * effort.wanted * 4),
    counts: kernels.allocate(count * 4),
  };
}

/** The kernel call that answers the room's queries; `bitmap` is where the filter lies, or 0. */
export function kernelCall(
  descriptor: number,
  { queries, scratch, rows, scores, counts }: SearchRoom,
  count: number,
  { plan, wanted, nprobe, numCandidates, rescore }: Effort,
  bitmap: number,
): Call {
  const out = [rows, scores, counts];
  if (plan === 'scan') return { name: 'ivfScan', args: [descriptor, queries, count, wanted, bitmap, ...out] };
  const how = [nprobe, numCandidates, wanted, rescore ? 1 : 0, bitmap, scratch];
  return { name: 'ivfSearch', args: [descriptor, queries, count, ...how, ...out] };
}

/** Copies the answers out; those of one call share their memory. */
export function readAnswers(kernels: Kernels, room: SearchRoom, count: number, { wanted, plan }: Effort): Neighbours[] {
  const rows = kernels.i32(room.rows, count * wanted).slice();
  const scores = kernels.f32(room.scores, count * wanted).slice();
  const counts = kernels.i32(room.counts, count);
  return Array.from({ length: count }, (_, i) => {
    const [start, end] = [i * wanted, i * wanted + counts[i]!];
    return { rows: rows.subarray(start, end), scores: scores.subarray(start, end), plan };
  });
}
