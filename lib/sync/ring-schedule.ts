import type { Range } from './optimizer.ts';

/** What one rank does at one hop: sends one chunk to its right, receives another from its left, and adds or takes it. */
export interface Hop {
  send: number;
  receive: number;
  /** Whether the received chunk is a partial sum, to which the rank adds its own; else it is final. */
  adds: boolean;
}

/**
 * Ring all-reduce (Patarasuk & Yuan, J. Parallel Distrib. Comput. 69, 2009): n - 1 hops of reduce-scatter, after which rank r holds
 * the sum of chunk r + 1, then n - 1 hops of all-gather. Chunk c is summed along one path, ranks c, c + 1, … c + n - 1, whoever asks;
 * each rank sends 2 (n - 1) of its n chunks, which is the least possible.
 */
export function ringSchedule(rank: number, size: number): Hop[] {
  const chunk = (index: number): number => ((index % size) + size) % size;
  return Array.from({ length: 2 * (size - 1) }, (_, hop) => {
    const adds = hop < size - 1;
    // All-gather starts with the chunk that this rank finished last.
    const send = adds ? rank - hop : rank + 1 - (hop - (size - 1));
    return { send: chunk(send), receive: chunk(send - 1), adds };
  });
}

/** Cuts a vector into buckets of at most `bucketBytes` of float32, at least one value each. */
export function bucketsOf(length: number, bucketBytes: number): Range[] {
  const size = Math.max(1, Math.floor(bucketBytes / 4));
  return Array.from({ length: Math.ceil(length / size) }, (_, i) => ({
    start: i * size,
    end: Math.min(length, (i + 1) * size),
  }));
}

/** Cuts a bucket into `size` chunks, equal but for one value; some are empty when it has fewer values than that. */
export function chunksOf({ start, end }: Range, size: number): Range[] {
  const cut = (i: number): number => start + Math.floor((i * (end - start)) / size);
  return Array.from({ length: size }, (_, i) => ({ start: cut(i), end: cut(i + 1) }));
}
