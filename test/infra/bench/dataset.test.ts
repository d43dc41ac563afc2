import { describe, expect, it } from 'vitest';
import { makeDataset } from '../../../infra/bench/dataset.ts';
import { checkFits } from '../../../infra/bench/memory-check.ts';
import { syntheticVectors } from '../../../infra/bench/synthetic.ts';
import { rowOf } from '../../../infra/bench/vector-set.ts';
import type { VectorSet } from '../../../infra/bench/vector-set.ts';

const draft = { name: 'test', metric: 'l2', seed: 7 } as const;

/** Row i is [i, i]. */
function counted(size: number): VectorSet {
  return { data: Float32Array.from({ length: size * 2 }, (_, i) => Math.floor(i / 2)), size, dim: 2 };
}

const firsts = (set: VectorSet): number[] => Array.from({ length: set.size }, (_, i) => rowOf(set, i)[0]!);

describe('queries that are held out', () => {
  it.each([1, 13, 20])('are %i of the vectors, and the others stay in order', (numQueries) => {
    const { rows, queries } = makeDataset({ ...draft, vectors: counted(100), numQueries });
    expect(queries.size).toBe(numQueries);
    expect(rows.data.length).toBe((100 - numQueries) * 2);
    expect(firsts(rows)).toEqual(firsts(rows).toSorted((a, b) => a - b));
    expect(new Set([...firsts(rows), ...firsts(queries)]).size).toBe(100);
  });

  it('are the same for the same seed, others for another, and never more than a fifth', () => {
    const held = (seed: number, numQueries: number): number[] =>
      firsts(makeDataset({ ...draft, seed, vectors: counted(100), numQueries }).queries);
    expect(held(7, 10)).toEqual(held(7, 10));
    expect(held(7, 10)).not.toEqual(held(8, 10));
    expect(held(7, 1_000)).toHaveLength(20);
  });

  it('cannot come from a handful of vectors', () => {
    expect(() => makeDataset({ ...draft, vectors: counted(4), numQueries: 10 })).toThrow(
      /at least 5 .*got 4.*--queries/,
    );
  });
});

it('given queries leave all vectors in place and must have their dimension', () => {
  const { rows, queries } = makeDataset({ ...draft, vectors: counted(10), queries: counted(3), numQueries: 2 });
  expect([rows.size, queries.size]).toEqual([10, 2]);
  const wrong = { data: new Float32Array(3), size: 1, dim: 3 };
  expect(() => makeDataset({ ...draft, vectors: counted(10), queries: wrong, numQueries: 2 })).toThrow(
    /queries of 2 dimensions.*got 3/,
  );
});

it('under cosine everything has unit length', () => {
  const { rows, queries } = makeDataset({ ...draft, metric: 'cosine', vectors: counted(50), numQueries: 5 });
  for (const set of [rows, queries]) {
    for (let i = 0; i < set.size; i++) {
      const length = Math.hypot(...rowOf(set, i));
      // Row [0, 0] has no direction.
      if (length > 0) expect(length).toBeCloseTo(1, 5);
    }
  }
});

describe('drawn vectors', () => {
  it('are the same for the same seed and others for another', async () => {
    const draw = (seed: number): Promise<VectorSet> => syntheticVectors({ size: 50, dim: 12, noiseRank: 3, seed });
    expect(await draw(1)).toEqual(await draw(1));
    expect((await draw(1)).data).not.toEqual((await draw(2)).data);
  });

  it('stray from their centre as far whatever the rank', async () => {
    const spread = async (noiseRank: number): Promise<number> => {
      const { data } = await syntheticVectors({ size: 4_000, dim: 16, numClusters: 1, noiseRank, seed: 3 });
      const mean = Array.from(
        { length: 16 },
        (_, d) => data.filter((_, i) => i % 16 === d).reduce((a, b) => a + b) / 4_000,
      );
      return data.reduce((sum, value, i) => sum + (value - mean[i % 16]!) ** 2, 0) / data.length;
    };
    expect(await spread(16)).toBeCloseTo(0.64, 1);
    expect(Math.abs((await spread(4)) - 0.64)).toBeLessThan(0.35);
  });
});

it('what would not fit is refused before it is drawn, with the way out', () => {
  const gib = 2 ** 30;
  expect(() => checkFits(1_000_000, 1_280, false, 1_000 * gib)).toThrow(/at most 3.5 GiB.*are 4.8 GiB.*--n/);
  expect(() => checkFits(100_000, 1_280, true, 2 * gib)).toThrow(/3.3 GiB of free memory.*got 2.0 GiB.*--python none/);
  expect(() => checkFits(100_000, 1_280, false, 2 * gib)).not.toThrow();
});
