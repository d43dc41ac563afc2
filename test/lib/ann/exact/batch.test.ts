import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type {
  AnnIndex,
  AnnMachine,
  BlockProduct,
  KernelThreads,
  Metric,
  ProductStep,
} from '../../../../contracts/ann.ts';
import { startBlockProduct } from '../../../../infra/ann/block-product.ts';
import { startKernelThreads } from '../../../../infra/ann/kernel-threads.ts';
import { createBitmap, createBuilder, setBit } from '../../../../lib/ann/index.ts';
import { instantiateKernels } from '../../../../lib/ann/kernels/kernels.ts';
import { seededRandom, seededVectors } from '../seeded-vectors.ts';

async function build(metric: Metric, vectors: Float32Array[], machine?: AnnMachine): Promise<AnnIndex> {
  const builder = createBuilder({ kind: 'exact', metric }, vectors[0]!.length, machine);
  for (const vector of vectors) builder.add(vector);
  return builder.build();
}

const joined = (vectors: Float32Array[]): Float32Array => Float32Array.from(vectors.flatMap((vector) => [...vector]));

/** Counts the products that go through it. */
function counted(product: BlockProduct): BlockProduct & { numSteps: number } {
  const counting = {
    size: product.size,
    numSteps: 0,
    run(memory: object, dim: number, steps: readonly ProductStep[]) {
      counting.numSteps += steps.length;
      return product.run(memory, dim, steps);
    },
  };
  return counting;
}

/** Products in doubles whose results are wrong in their last digits, by as much as f32 sums may be; those of bytes are exact. */
const roughly: BlockProduct = {
  size: 1,
  async run(memory, dim, steps) {
    const shared = memory as WebAssembly.Memory;
    const kernels = instantiateKernels(shared);
    const random = seededRandom(5);
    for (const { format, rows, numRows, queries, numQueries, out, then } of steps) {
      if (format === 'bytes') {
        const x = new Uint8Array(shared.buffer, rows, numRows * dim);
        const q = new Int8Array(shared.buffer, queries, dim * numQueries);
        const block = new Int32Array(shared.buffer, out, numRows * numQueries);
        for (let i = 0; i < numRows; i++) {
          for (let j = 0; j < numQueries; j++) {
            let sum = 0;
            for (let d = 0; d < dim; d++) sum += (x[i * dim + d]! - 128) * q[d * numQueries + j]!;
            block[i * numQueries + j] = sum;
          }
        }
        kernels[then.name as 'selectScreened'](...then.args);
        continue;
      }
      const x = new Float32Array(shared.buffer, rows, numRows * dim);
      const q = new Float32Array(shared.buffer, queries, numQueries * dim);
      const block = new Float32Array(shared.buffer, out, numRows * numQueries);
      for (let i = 0; i < numRows; i++) {
        for (let j = 0; j < numQueries; j++) {
          let sum = 0;
          let size = 0;
          for (let d = 0; d < dim; d++) {
            const product = x[i * dim + d]! * q[j * dim + d]!;
            sum += product;
            size += Math.abs(product);
          }
          block[i * numQueries + j] = sum + (random() < 0.5 ? -1 : 1) * (dim - 1) * 2 ** -24 * size;
        }
      }
      kernels[then.name as 'selectBlock'](...then.args);
    }
  },
};

describe('a batch of exact', () => {
  it.each(METRICS)('answers as single searches do, by every way of multiplying (%s)', async (metric) => {
    await using threads = startKernelThreads(2);
    await using started = startBlockProduct(2);
    const blockProduct = counted(started);
    // More than one block of rows and one slice of queries, neither a whole number of vectors or tiles.
    const vectors = seededVectors(2311, 19, 3);
    const queries = [...seededVectors(300, 19, 4), ...vectors.slice(0, 21)];
    const alone = await build(metric, vectors);
    const singles = queries.map((query) => alone.search(query, { k: 10 }));
    for (const machine of [{}, { threads }, { threads, blockProduct }, { blockProduct: roughly }]) {
      const index = await build(metric, vectors, machine);
      expect(await index.searchBatch(joined(queries), { k: 10 })).toEqual(singles);
    }
    expect(blockProduct.numSteps).toBe(3 * 2);
  });

  it('among many equal and nearly equal rows names those that single searches name, best by row', async () => {
    await using blockProduct = startBlockProduct(2);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...METRICS),
        fc.integer({ min: 1, max: 600 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(0, 1e-7, 1e-6),
        fc.nat(),
        async (metric, numRows, numKinds, k, noise, seed) => {
          const kinds = seededVectors(numKinds, 7, seed);
          const random = seededRandom(seed);
          const vectors = Array.from({ length: numRows }, (_, i) =>
            kinds[i % numKinds]!.map((value) => value * (1 + noise * random())),
          );
          const queries = Array.from({ length: 16 }, (_, i) => vectors[i % numRows]!);
          const index = await build(metric, vectors, { blockProduct });
          const singles = queries.map((query) => index.search(query, { k }));
          expect(await index.searchBatch(joined(queries), { k })).toEqual(singles);
        },
      ),
      { seed: 2, numRuns: 60 },
    );
  });

  it('multiplies the allowed rows only, and answers as filtered searches do', async () => {
    await using started = startBlockProduct(1);
    const vectors = seededVectors(3000, 16, 5);
    const queries = seededVectors(40, 16, 6);
    const alone = await build('l2', vectors);
    for (const [step, blocks] of [
      [2, 2],
      [700, 1],
      [4000, 0],
    ] as const) {
      const blockProduct = counted(started);
      const index = await build('l2', vectors, { blockProduct });
      const allowed = createBitmap(3000);
      for (let row = 1; row < 3000 && step < 3000; row += step) setBit(allowed, row);
      const options = { k: 10, allowed };
      expect(await index.searchBatch(joined(queries), options)).toEqual(queries.map((q) => alone.search(q, options)));
      expect(blockProduct.numSteps).toBe(blocks);
    }
  });

  it('far from the origin, where norms drown distances, and near the ends of what numbers hold, it is as exact', async () => {
    await using blockProduct = startBlockProduct(1);
    for (const [shift, scale] of [
      [1e4, 1],
      [0, 1e17],
      [0, 1e-30],
    ] as const) {
      const vectors = seededVectors(500, 9, 7).map((vector) => vector.map((value) => value * scale + shift));
      const index = await build('l2', vectors, { blockProduct });
      const queries = vectors.slice(0, 20);
      const singles = queries.map((query) => index.search(query, { k: 5 }));
      expect(await index.searchBatch(joined(queries), { k: 5 })).toEqual(singles);
    }
  });

  it('cut over threads, one query alone finds what a single search finds', async () => {
    await using started = startKernelThreads(2);
    let numCalls = 0;
    const threads: KernelThreads = {
      size: 2,
      run(memory, calls, signal) {
        numCalls += calls.length;
        return started.run(memory, calls, signal);
      },
    };
    const vectors = seededVectors(20_000, 128, 8);
    const index = await build('innerProduct', vectors, { threads });
    const allowed = createBitmap(20_000);
    for (let row = 5; row < 20_000; row += 3) setBit(allowed, row);
    for (const options of [{ k: 10 }, { k: 10, allowed }, { k: 25_000 }]) {
      expect(await index.searchBatch(vectors[77]!, options)).toEqual([index.search(vectors[77]!, options)]);
    }
    expect(numCalls).toBe(3 * 4);
  });

  it('can be cancelled, and single searches and further batches go on beside it', async () => {
    await using blockProduct = startBlockProduct(2);
    const vectors = seededVectors(6000, 32, 9);
    const index = await build('cosine', vectors, { blockProduct });
    const batch = joined(vectors.slice(0, 500));
    const stop = new AbortController();
    const stopped = index.searchBatch(batch, { k: 10, signal: stop.signal });
    const going = index.searchBatch(batch, { k: 10 });
    const single = index.search(vectors[3]!, { k: 10 });
    stop.abort();
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    expect((await going)[3]).toEqual(single);
    expect(index.search(vectors[3]!, { k: 10 })).toEqual(single);
  });

  it('refuses NaN, wrong dimensions, bad parameters and a short bitmap', async () => {
    const index = await build('cosine', seededVectors(100, 8, 10));
    const batch = joined(seededVectors(20, 8, 11));
    const refused = async (queries: Float32Array, options: object, code: string): Promise<void> =>
      expect(index.searchBatch(queries, { k: 1, ...options })).rejects.toMatchObject({ code });
    await refused(batch.with(100, NaN), {}, 'nonFinite');
    await refused(batch.subarray(1), {}, 'dimensionMismatch');
    await refused(batch, { k: 0 }, 'invalidInput');
    await refused(batch, { allowed: new Uint32Array(1) }, 'invalidInput');
    await refused(batch, { signal: AbortSignal.abort() }, 'cancelled');
    expect(await index.searchBatch(new Float32Array(), { k: 1 })).toEqual([]);
  });
});
