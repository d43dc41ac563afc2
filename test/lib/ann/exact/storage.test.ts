import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type { ExactSpec, IndexSpec, Metric } from '../../../../contracts/ann.ts';
import { startKernelThreads } from '../../../../infra/ann/kernel-threads.ts';
import { createBuilder } from '../../../../lib/ann/index.ts';
import { Kernels } from '../../../../lib/ann/kernels/kernels.ts';
import { buildOf, itKeepsTheContract, recallOf } from '../kind-contract.ts';
import { seededVectors } from '../seeded-vectors.ts';

describe.each(['float16', 'int8'] as const)('exact over %s', (storage) => {
  const specOf = (metric: Metric, rescore?: number): ExactSpec => ({ kind: 'exact', metric, storage, rescore });
  itKeepsTheContract('codes', specOf);

  it.each(METRICS)('finds 999 of 1000 true neighbours with rescoring, 970 by codes alone (%s)', async (metric) => {
    const vectors = seededVectors(4000, 50, 21);
    const index = await buildOf(specOf(metric), vectors);
    const queries = seededVectors(100, 50, 22);
    expect(recallOf(index, queries, { k: 10 })).toBeGreaterThanOrEqual(0.999);
    expect(recallOf(index, queries, { k: 10, rescore: 0 })).toBeGreaterThanOrEqual(0.97);
  });

  it.each(METRICS)('answers with scores near the true ones when nothing is compared again (%s)', async (metric) => {
    const vectors = seededVectors(300, 40, 23).map((vector) => vector.map((value) => value * 3000));
    const index = await buildOf(specOf(metric, 0), vectors);
    for (const query of vectors.slice(0, 20)) {
      const { rows, scores } = index.search(query, { k: 299 });
      const truth = index.search(query, { k: 300, exact: true });
      const scoreOf = new Map(Array.from(truth.rows, (row, i) => [row, truth.scores[i]!]));
      const largest = Math.max(...truth.scores.map(Math.abs));
      for (const [i, row] of rows.entries()) {
        expect(Math.abs(scores[i]! - scoreOf.get(row)!)).toBeLessThan(largest * (storage === 'int8' ? 0.01 : 0.001));
      }
    }
  });

  it('gives on threads what it gives on one', async () => {
    await using threads = startKernelThreads(2);
    const vectors = seededVectors(30_000, 80, 24);
    const builder = createBuilder(specOf('l2'), 80, { threads });
    for (const vector of vectors) builder.add(vector);
    const index = await builder.build();
    const queries = vectors.slice(0, 6);
    const batch = Float32Array.from(queries.flatMap((query) => [...query]));
    expect(await index.searchBatch(batch, { k: 10 })).toEqual(queries.map((query) => index.search(query, { k: 10 })));
    expect(await index.searchBatch(queries[1]!, { k: 10 })).toEqual([index.search(queries[1]!, { k: 10 })]);
  });

  it('takes rows of zeros, of any size and of extreme scale', async () => {
    for (const scale of [0, 1e-38, 1e-20, 1e15]) {
      const vectors = seededVectors(200, 33, 25).map((vector) => vector.map((value) => value * scale));
      const index = await buildOf(specOf('innerProduct', 19), vectors);
      const found = index.search(vectors[5]!, { k: 10 });
      expect(found).toEqual({ ...index.search(vectors[5]!, { k: 10, exact: true }), plan: 'codes' });
    }
  });
});

describe('codes', () => {
  it('are the nearest halves, ties to even', () => {
    const kernels = new Kernels();
    const values = Float32Array.of(1, -2.5, 1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24, -65_504 / 2, 0, 1 / 3);
    const [from, to] = [kernels.place(values), kernels.allocate(32)];
    kernels.run.encodeHalf(from, values.length, 1, to, 16);
    const bits = [...new Uint16Array(kernels.memory.buffer, to, 16)];
    expect(bits.slice(0, 8)).toEqual([0x3c00, 0xc100, 0x3c00, 0x3c02, 0x0001, 0xf7ff, 0, 0x3555]);
    expect(bits.slice(8)).toEqual(Array(8).fill(0));
  });

  it('are bytes whose products with a query are summed exactly, at the ends of their range too', () => {
    const kernels = new Kernels();
    const dim = 4096;
    const [row, codes] = [kernels.place(new Float32Array(dim).fill(-7)), kernels.allocate(dim)];
    expect(kernels.run.encodeInt8(row, dim, codes, dim)).toBeCloseTo(7 / 127, 7);
    const finest = Math.floor((2 ** 31 - 1) / (127 * dim));
    const query = kernels.place(new Int16Array(dim).fill(finest));
    expect(kernels.run.dotInt8(codes, query, dim)).toBe(-127 * finest * dim);
  });

  it('are asked for by a known name, and rescored a whole number of times', () => {
    const spec = { kind: 'exact', metric: 'l2' } as const;
    for (const wrong of [{ storage: 'int4' }, { rescore: -1 }, { rescore: 1.5 }]) {
      expect(() => createBuilder({ ...spec, ...wrong } as IndexSpec, 4)).toThrow(
        expect.objectContaining({ code: 'invalidInput' }),
      );
    }
  });
});
