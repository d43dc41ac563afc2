import { expect, it } from 'vitest';
import { makeDataset } from '../../../infra/bench/dataset.ts';
import { groundTruth, recallOf } from '../../../infra/bench/ground-truth.ts';
import { syntheticVectors } from '../../../infra/bench/synthetic.ts';

const signal = new AbortController().signal;

it.each(['l2', 'cosine', 'innerProduct'] as const)(
  'under %s recall is the part of the true nearest',
  async (metric) => {
    const vectors = await syntheticVectors({ size: 260, dim: 8, seed: 1 });
    const data = makeDataset({ name: 'test', metric, vectors, numQueries: 10, seed: 1 });
    const truth = await groundTruth(data, 10, {}, signal);
    const nearest = Int32Array.from(truth.neighbours.flatMap(({ rows }) => [...rows]));
    expect(recallOf(nearest, truth, data)).toBe(1);
    expect(
      recallOf(
        nearest.map((row, i) => (i % 10 < 4 ? -1 : row)),
        truth,
        data,
      ),
    ).toBeCloseTo(0.6, 10);
    expect(recallOf(new Int32Array(100).fill(-1), truth, data)).toBe(0);
    // Ten times the same hit is one hit.
    expect(
      recallOf(
        nearest.map((_, i) => nearest[i - (i % 10)]!),
        truth,
        data,
      ),
    ).toBeCloseTo(0.1, 10);
  },
);

it('among rows as near as the last true one it does not matter which are named', async () => {
  // Rows 0..3 are all the same distance from the query; two are wanted.
  const rows = { data: Float32Array.of(1, 0, 0, 1, -1, 0, 0, -1, 5, 5), size: 5, dim: 2 };
  const queries = { data: Float32Array.of(0, 0), size: 1, dim: 2 };
  const data = makeDataset({ name: 'ties', metric: 'l2', vectors: rows, queries, numQueries: 1, seed: 1 });
  const truth = await groundTruth(data, 2, {}, signal);
  expect(recallOf(Int32Array.of(2, 3), truth, data)).toBe(1);
  expect(recallOf(Int32Array.of(3, 4), truth, data)).toBe(0.5);
});
