import type { Kernels } from '../kernels/kernels.ts';
import type { Found } from '../rows.ts';

/** What a kernel left in a heap, best first. */
export function readHeap(kernels: Kernels, count: number, scores: number, rows: number): Found {
  kernels.run.heapSort(scores, rows, count);
  return { rows: Int32Array.from(kernels.i32(rows, count)), scores: Float32Array.from(kernels.f32(scores, count)) };
}

/** The `room` best of several answers over different rows: score descending, then row ascending. */
export function merged(parts: readonly Found[], room: number): Found {
  if (parts.length === 1) return parts[0]!;
  const rows = parts.flatMap((part) => [...part.rows]);
  const scores = parts.flatMap((part) => [...part.scores]);
  const order = [...rows.keys()].sort((a, b) => scores[b]! - scores[a]! || rows[a]! - rows[b]!).slice(0, room);
  return { rows: Int32Array.from(order, (i) => rows[i]!), scores: Float32Array.from(order, (i) => scores[i]!) };
}
