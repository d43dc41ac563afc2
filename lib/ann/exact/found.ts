import type { Kernels } from '../kernels/kernels.ts';
import type { Found } from '../rows.ts';

/** What a kernel left in a heap, best first. */
export function readHeap(kernels: Kernels, count: number, scores: number, rows: number): Found {
  kernels.run.heapSort(scores, rows, count);
  return { rows: new Int32Array(kernels.i32(rows, count)), scores: new Float32Array(kernels.f32(scores, count)) };
}

/** The `room` best of several answers over different rows, each best first: score descending, then row ascending. */
export function merged(parts: readonly Found[], room: number): Found {
  if (parts.length === 1) return parts[0]!;
  const count = Math.min(
    room,
    parts.reduce((sum, part) => sum + part.rows.length, 0),
  );
  const found = { rows: new Int32Array(count), scores: new Float32Array(count) };
  const places = new Int32Array(parts.length);
  for (let i = 0; i < count; i++) {
    let best = -1;
    for (let part = 0; part < parts.length; part++) {
      if (places[part]! < parts[part]!.rows.length && (best < 0 || isBefore(part, best))) best = part;
    }
    const { rows, scores } = parts[best]!;
    const place = places[best]!++;
    found.rows[i] = rows[place]!;
    found.scores[i] = scores[place]!;
  }
  return found;

  function isBefore(one: number, other: number): boolean {
    const [a, b] = [parts[one]!, parts[other]!];
    const [i, j] = [places[one]!, places[other]!];
    return a.scores[i]! > b.scores[j]! || (a.scores[i] === b.scores[j] && a.rows[i]! < b.rows[j]!);
  }
}
