import { describe, expect, it } from 'vitest';
import type { IndexSpec } from '../../../contracts/ann.ts';
import type { AutoCandidate } from '../../../lib/ann/auto-candidates.ts';
import { autoCandidates } from '../../../lib/ann/auto-candidates.ts';
import { carriedOn } from '../../../lib/ann/auto-growth.ts';
import type { Point } from '../../../lib/ann/auto-growth.ts';
import { chooseIndex } from '../../../lib/ann/auto.ts';
import type { AutoInput } from '../../../lib/ann/auto.ts';
import { createBuilder } from '../../../lib/ann/index.ts';
import { seededVectors } from './seeded-vectors.ts';

const DIM = 12;
const sample = Float32Array.from(seededVectors(640, DIM, 5).flatMap((row) => [...row]));
const exact: AutoCandidate = { spec: { kind: 'exact', metric: 'l2' } };
const hnsw: AutoCandidate = {
  spec: { kind: 'hnsw', metric: 'l2', m: 8, efConstruction: 60, efSearch: 32, seed: 1 },
  effort: { name: 'efSearch', values: [10, 200] },
};

/** A clock on which the n-th timed pass takes `millis(n)`. */
function clock(millis: (pass: number) => number): () => number {
  let time = 0;
  let readings = 0;
  return () => {
    if (readings % 2 === 1) time += millis((readings - 1) / 2);
    readings++;
    return time;
  };
}

const input: AutoInput = {
  ...{ sample, dim: DIM, metric: 'l2', numRows: 608, k: 10, recall: 0.9, maxBytes: null, seed: 1 },
  now: clock(() => 1),
  candidates: () => [exact, hnsw],
};

/** Passes go candidate by candidate, effort by effort, five each; first over the smaller sample, then over the larger. */
const timed = (...millis: number[]): (() => number) => clock((pass) => millis[Math.floor(pass / 5) % millis.length]!);

describe('of what finds enough', () => {
  it('the fastest is chosen, with its effort in the spec, and the reason names the next', async () => {
    const { spec, reason, measured } = await chooseIndex({ ...input, now: timed(9, 2, 3) });
    expect(spec).toEqual({ ...hnsw.spec, efSearch: measured[1]!.recall >= 0.9 ? 10 : 200 });
    expect(measured).toHaveLength(3);
    expect(reason).toMatch(/^hnsw \(.*answers soonest.*0\.9 of the true 10.*Next is exact: .*Measured on 608 rows/);
  });

  it('exact is chosen although a little slower, for it loses nothing', async () => {
    expect((await chooseIndex({ ...input, now: timed(2.3, 2, 2) })).spec).toEqual(exact.spec);
    expect((await chooseIndex({ ...input, now: timed(2.5, 2, 2) })).spec.kind).toBe('hnsw');
  });

  it('a fast one that finds too little is not chosen', async () => {
    const poor: AutoCandidate = {
      spec: { kind: 'kdTree', metric: 'l2', trees: 2, leafSize: 8, checks: 512, seed: 1 },
      effort: { name: 'checks', values: [8] },
    };
    const { spec, measured } = await chooseIndex({ ...input, candidates: () => [exact, poor], now: timed(50, 1) });
    expect(measured[1]!.recall).toBeLessThan(0.9);
    expect(spec).toEqual(exact.spec);
  });
});

describe('the memory', () => {
  it('rules out what would not fit, however fast', async () => {
    const roomy = await chooseIndex({ ...input, now: timed(9, 1, 1) });
    const [scan, graph] = ['exact', 'hnsw'].map((kind) => roomy.measured.find((one) => one.spec.kind === kind)!);
    const maxBytes = Math.round((scan!.expectedBytes + graph!.expectedBytes) / 2);
    expect(roomy.spec.kind).toBe('hnsw');
    expect((await chooseIndex({ ...input, maxBytes, now: timed(9, 1, 1) })).spec).toEqual(exact.spec);
  });

  it('that nothing fits is refused with what would be needed', async () => {
    await expect(chooseIndex({ ...input, numRows: 1_000_000, maxBytes: 10 * 2 ** 20 })).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringMatching(
        /1000000 rows in at most 10 MiB.*smallest \(exact\) needs about 4\d MiB/,
      ) as string,
    });
  });

  it('expected of more rows is what they then take', async () => {
    const all = seededVectors(4_000, DIM, 5);
    const part = Float32Array.from(all.slice(0, 640).flatMap((row) => [...row]));
    const { measured } = await chooseIndex({ ...input, sample: part, numRows: all.length });
    for (const kind of ['exact', 'hnsw'] as const) {
      const one = measured.find(({ spec }) => spec.kind === kind)!;
      const builder = createBuilder(one.spec, DIM);
      for (const row of all) builder.add(row);
      const { memoryBytes } = await builder.build();
      expect(one.expectedBytes / memoryBytes).toBeGreaterThan(0.85);
      expect(one.expectedBytes / memoryBytes).toBeLessThan(1.15);
    }
  });
});

it.each(['cosine', 'innerProduct', 'l2'] as const)(
  'under %s the default candidates hold what was measured',
  async (metric) => {
    const { spec } = await chooseIndex({ ...input, metric, candidates: undefined, recall: 0.95 });
    const rows = seededVectors(640, DIM, 5);
    const build = async (one: IndexSpec) => {
      const builder = createBuilder(one, DIM);
      for (const row of rows) builder.add(row);
      return builder.build();
    };
    const [chosen, oracle] = [await build(spec), await build({ kind: 'exact', metric })];
    let hits = 0;
    for (const query of seededVectors(50, DIM, 5).slice(0, 50)) {
      const truth = new Set(oracle.search(query, { k: 10 }).rows);
      hits += [...chosen.search(query, { k: 10 }).rows].filter((row) => truth.has(row)).length;
    }
    expect(hits / 500).toBeGreaterThan(0.9);
  },
);

it('candidates are valid specs for few rows and many, few dimensions and many', () => {
  for (const [numRows, dim] of [
    [1, 1],
    [50, 7],
    [20_000, 128],
    [1_000_000, 1_280],
  ] as const) {
    for (const { spec, effort } of autoCandidates(numRows, dim, 'cosine', 1)) {
      expect(() => createBuilder(spec, dim)).not.toThrow();
      if (effort !== undefined) expect(effort.values).toEqual(effort.values.toSorted((a, b) => a - b));
    }
  }
});

it('a sample that is too small, and a signal that is aborted, end it', async () => {
  await expect(chooseIndex({ ...input, sample: sample.subarray(0, 5 * DIM) })).rejects.toThrow(
    /more than k = 10.*got 5/,
  );
  await expect(chooseIndex({ ...input, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
});

describe('what two sizes say of a third', () => {
  const point = (recall: number, millis: number, bytes: number): Point => ({ recall, millis, bytes });
  const sizes = { small: 1_000, large: 4_000, numRows: 64_000 };

  it('carries powers on', () => {
    // Linear time: 16 times the rows, 16 times as long. Growth by the square root: 4 times.
    expect(carriedOn([point(1, 1, 10)], [point(1, 4, 40)], sizes)[0]).toMatchObject({
      expectedMillis: 64,
      expectedBytes: 640,
    });
    expect(carriedOn([point(1, 1, 10)], [point(1, 2, 40)], sizes)[0]!.expectedMillis).toBeCloseTo(8, 6);
  });

  it('expects no search to get faster, nor slower than a scan, nor recall to rise', () => {
    const [faster] = carriedOn([point(0.8, 2, 10)], [point(0.9, 1, 40)], sizes);
    expect(faster).toMatchObject({ expectedMillis: 1, expectedRecall: 0.9 });
    expect(carriedOn([point(1, 1, 10)], [point(1, 100, 40)], sizes)[0]!.expectedMillis).toBe(1_600);
  });

  it('expects recall that fell to go on falling', () => {
    const [one] = carriedOn([point(0.95, 1, 10)], [point(0.9, 1, 40)], sizes);
    expect(one!.expectedRecall).toBeLessThan(0.9);
    expect(one!.expectedRecall).toBeGreaterThan(0.5);
  });

  it('expects nothing else where the sample is all there is', () => {
    const all = { small: 1_000, large: 4_000, numRows: 4_000 };
    expect(carriedOn([point(0.95, 1, 10)], [point(0.9, 3, 40)], all)[0]).toMatchObject({
      expectedRecall: 0.9,
      expectedMillis: 3,
      expectedBytes: 40,
    });
  });

  it('takes an easier search that seems slower than a harder one for disturbed', () => {
    const before = [point(0.8, 1, 10), point(0.9, 2, 10)];
    const after = [point(0.8, 9, 40), point(0.9, 2, 40)];
    expect(carriedOn(before, after, sizes)[0]!.expectedMillis).toBeLessThan(9);
  });
});
