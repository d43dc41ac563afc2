import type { Metric } from '../../contracts/ann.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { randomFrom } from '../../lib/images/random.ts';
import { prepared } from '../../lib/ann/vectors.ts';
import { rowOf } from './vector-set.ts';
import type { VectorSet } from './vector-set.ts';

/** What is searched and what is asked; under cosine all of it at unit length. */
export interface Dataset {
  name: string;
  metric: Metric;
  rows: VectorSet;
  queries: VectorSet;
}

export interface DatasetDraft {
  name: string;
  metric: Metric;
  /** Spent: its memory becomes the dataset's. */
  vectors: VectorSet;
  /** Absent: a part of the vectors is taken out of them and asked. */
  queries?: VectorSet;
  /** At most so many. */
  numQueries: number;
  seed: number;
}

/** At most this part of the vectors is held out. */
const MAX_HELD_OUT = 0.2;

/** @throws LookalikeError `dimensionMismatch` | `invalidInput` */
export function makeDataset({ name, metric, vectors, queries, numQueries, seed }: DatasetDraft): Dataset {
  if (queries !== undefined && queries.dim !== vectors.dim) {
    throw new LookalikeError(
      'dimensionMismatch',
      `Expected queries of ${vectors.dim} dimensions like the vectors, got ${queries.dim}.`,
      { expected: vectors.dim, got: queries.dim },
    );
  }
  const split = queries === undefined ? holdOut(vectors, numQueries, seed) : { rows: vectors, queries };
  const asked = firstRows(split.queries, numQueries);
  if (metric === 'cosine') {
    for (const set of [split.rows, asked]) {
      for (let row = 0; row < set.size; row++) rowOf(set, row).set(prepared(rowOf(set, row), metric));
    }
  }
  return { name, metric, rows: split.rows, queries: asked };
}

/** Takes seeded rows out and closes the gaps in place: the vectors may fill most of the memory. */
function holdOut(vectors: VectorSet, wanted: number, seed: number): { rows: VectorSet; queries: VectorSet } {
  const { data, size, dim } = vectors;
  const count = Math.min(wanted, Math.floor(size * MAX_HELD_OUT));
  if (count < 1) {
    throw new LookalikeError(
      'invalidInput',
      `Expected at least ${Math.ceil(1 / MAX_HELD_OUT)} vectors, so that some can be held out as queries, got ${size}. Give --queries.`,
    );
  }
  const random = randomFrom(seed);
  const chosen = new Set<number>();
  while (chosen.size < count) chosen.add(Math.floor(random() * size));
  const ascending = [...chosen].sort((a, b) => a - b);
  const queries = new Float32Array(count * dim);
  ascending.forEach((row, i) => queries.set(rowOf(vectors, row), i * dim));
  for (const [i, row] of ascending.entries()) {
    const next = ascending[i + 1] ?? size;
    data.copyWithin((row - i) * dim, (row + 1) * dim, next * dim);
  }
  return { rows: firstRows(vectors, size - count), queries: { data: queries, size: count, dim } };
}

export function firstRows({ data, size, dim }: VectorSet, count: number): VectorSet {
  const kept = Math.min(size, count);
  return { data: data.subarray(0, kept * dim), size: kept, dim };
}
