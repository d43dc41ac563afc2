import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type { AnnIndex, AnnMachine, BlockProduct, KernelThreads, Metric } from '../../../../contracts/ann.ts';
import { startBlockProduct } from '../../../../infra/ann/block-product.ts';
import { startKernelThreads } from '../../../../infra/ann/kernel-threads.ts';
import { planBlocks } from '../../../../lib/ann/exact/block-plan.ts';
import { Turns } from '../../../../lib/ann/exact/turns.ts';
import { createBitmap, createBuilder, loadIndex, setBit } from '../../../../lib/ann/index.ts';
import { fileOf } from '../kind-contract.ts';
import { seededRandom, seededVectors } from '../seeded-vectors.ts';

type Watched = BlockProduct & { numCoded: number; numFloat: number; memoryBytes: number };

/** Counts the products of either kind that go through it. */
function watched(product: BlockProduct): Watched {
  const watching: Watched = {
    ...{ size: product.size, numCoded: 0, numFloat: 0, memoryBytes: 0 },
    async run(memory, dim, steps) {
      for (const { format } of steps) {
        if (format === 'bytes') watching.numCoded++;
        else watching.numFloat++;
      }
      await product.run(memory, dim, steps);
      watching.memoryBytes = (memory as WebAssembly.Memory).buffer.byteLength;
    },
  };
  return watching;
}

async function build(metric: Metric, vectors: Float32Array[], machine: AnnMachine): Promise<AnnIndex> {
  const builder = createBuilder({ kind: 'exact', metric }, vectors[0]!.length, machine);
  for (const vector of vectors) builder.add(vector);
  return builder.build();
}

const joined = (vectors: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(vectors.length * vectors[0]!.length);
  for (const [i, vector] of vectors.entries()) all.set(vector, i * vector.length);
  return all;
};

/** Rows and queries that are hard to code. */
const WORLDS: Record<string, (random: () => number, dim: number, row: number) => number[]> = {
  plain: (random, dim) => Array.from({ length: dim }, () => random() - 0.5),
  'one huge number in some rows': (random, dim, row) =>
    Array.from({ length: dim }, (_, i) => (row % 7 === 0 && i === row % dim ? 1e6 * random() : random() - 0.5)),
  'one number alone': (random, dim, row) => Array.from({ length: dim }, (_, i) => (i === row % dim ? random() : 0)),
  'zeros between': (random, dim, row) => Array.from({ length: dim }, () => (row % 3 === 0 ? 0 : random() - 0.5)),
  'scales of their own': (random, dim, row) =>
    Array.from({ length: dim }, () => (random() - 0.5) * 10 ** (((row * 7) % 31) - 15)),
  'numbers smaller than normal': (random, dim) => Array.from({ length: dim }, () => (random() - 0.5) * 1e-39),
  'far from the origin': (random, dim) => Array.from({ length: dim }, () => 1000 + random()),
  'all equal': (_, dim) => Array.from({ length: dim }, (__, i) => i + 1),
  'few kinds': (_, dim, row) => Array.from({ length: dim }, (__, i) => Math.sin((row % 4) * dim + i)),
  'nearly equal': (random, dim) => Array.from({ length: dim }, (_, i) => Math.sin(i) * (1 + 1e-6 * random())),
};

describe('rows told apart by bytes', () => {
  it.each(Object.keys(WORLDS))('answer batches as single searches do: %s', async (name) => {
    await using started = startBlockProduct(2);
    const blockProduct = watched(started);
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...METRICS),
        fc.integer({ min: 1, max: 1300 }),
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: -18, max: 2 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(),
        async (metric, numRows, dim, k, exponent, step, seed) => {
          const random = seededRandom(seed);
          const rowOf = (row: number): Float32Array =>
            Float32Array.from(WORLDS[name]!(random, dim, row), (value) => value * 10 ** exponent);
          const vectors = Array.from({ length: numRows }, (_, row) => rowOf(row));
          const queries = Array.from({ length: 17 }, (_, i) => (i % 2 === 0 ? rowOf(i) : vectors[i % numRows]!));
          const index = await build(metric, vectors, { blockProduct });
          const allowed = createBitmap(numRows);
          for (let row = 0; row < numRows; row += step) setBit(allowed, row);
          for (const options of [{ k }, { k, allowed }]) {
            const singles = queries.map((query) => index.search(query, options));
            expect(await index.searchBatch(joined(queries), options)).toEqual(singles);
          }
        },
      ),
      { seed: 3, numRuns: 12 },
    );
    expect(blockProduct.numCoded).toBeGreaterThan(20);
  });

  it.each(METRICS)('spare nearly all comparisons on vectors of clusters, loaded ones too (%s)', async (metric) => {
    await using started = startBlockProduct(1);
    const blockProduct = watched(started);
    let numCompared = 0;
    const counting: BlockProduct = {
      size: 1,
      async run(memory, dim, steps) {
        await blockProduct.run(memory, dim, steps);
        // What the header of the queries (kernels/assembly/asked.ts) counts last.
        const [, , header] = steps[0]!.then.args;
        numCompared = new Uint32Array((memory as WebAssembly.Memory).buffer, header! + 16 + 16 * 4, 1)[0]!;
      },
    };
    const vectors = seededVectors(12_000, 48, 31, 200);
    const queries = seededVectors(64, 48, 31, 200);
    const index = await build(metric, vectors, { blockProduct: counting });
    const loaded = await loadIndex(await fileOf(index), { blockProduct: counting });
    const singles = queries.map((query) => index.search(query, { k: 10 }));
    for (const each of [index, loaded]) {
      expect(await each.searchBatch(joined(queries), { k: 10 })).toEqual(singles);
      // Of the half that one strand has.
      expect(numCompared / queries.length).toBeLessThan(0.05 * 6000);
    }
    expect(blockProduct.numFloat).toBe(0);
  });

  it('are given up for f32 where bytes tell nothing, and the answers stay', async () => {
    await using started = startBlockProduct(1);
    const blockProduct = watched(started);
    const vectors = Array.from({ length: 40_000 }, (_, i) => Float32Array.of(1e6, (i % 977) / 1e5, (i % 31) / 1e6));
    vectors[77] = Float32Array.of(-1e6, 0, 0);
    const queries = vectors.slice(0, 64).map(([x, y, z]) => Float32Array.of(x! / 1e9, y! * 1e3, z! * 1e3));
    const index = await build('innerProduct', vectors, { blockProduct });
    const singles = queries.map((query) => index.search(query, { k: 5 }));
    expect(await index.searchBatch(joined(queries), { k: 5 })).toEqual(singles);
    expect(blockProduct.numCoded).toBeGreaterThan(0);
    expect(blockProduct.numFloat).toBeGreaterThan(0);
  });

  it('count as memory, and are made for a machine with products of matrices alone', async () => {
    await using blockProduct = startBlockProduct(1);
    const vectors = seededVectors(1000, 64, 33);
    const plain = await build('l2', vectors, {});
    const coded = await build('l2', vectors, { blockProduct });
    const more = coded.memoryBytes - plain.memoryBytes;
    expect(more).toBeGreaterThanOrEqual(1000 * (64 + 16));
    expect(more).toBeLessThan(1000 * (64 + 16) + 1000);
  });
});

describe('room for batches', () => {
  it('does not grow with what is asked for, and is no memory of the index', async () => {
    await using started = startBlockProduct(2);
    const blockProduct = watched(started);
    const vectors = seededVectors(4500, 8, 34);
    const queries = seededVectors(400, 8, 35);
    const index = await build('l2', vectors, { blockProduct });
    const before = index.memoryBytes;
    const batch = index.searchBatch(joined(queries), { k: 4000 });
    await new Promise((resume) => setImmediate(resume));
    expect(index.memoryBytes).toBe(before);
    const answers = await batch;
    for (const i of [0, 399]) expect(answers[i]).toEqual(index.search(queries[i]!, { k: 4000 }));
    // All heaps at once would take 400 * 4000 * 8 bytes, for two parts of the rows each.
    expect(blockProduct.memoryBytes).toBeLessThan(22e6);
  });

  it('of coarse rows does not grow with candidates either', async () => {
    await using started = startKernelThreads(2);
    let memoryBytes = 0;
    const threads: KernelThreads = {
      size: 2,
      async run(memory, calls, signal) {
        const results = await started.run(memory, calls, signal);
        memoryBytes = (memory as WebAssembly.Memory).buffer.byteLength;
        return results;
      },
    };
    const vectors = seededVectors(30_000, 8, 36);
    const queries = seededVectors(200, 8, 37);
    const builder = createBuilder({ kind: 'exact', metric: 'l2', storage: 'int8', rescore: 999 }, 8, { threads });
    for (const vector of vectors) builder.add(vector);
    const index = await builder.build();
    const answers = await index.searchBatch(joined(queries), { k: 30 });
    for (const i of [0, 199]) expect(answers[i]).toEqual(index.search(queries[i]!, { k: 30 }));
    // All heaps at once would take 200 * 29,970 * 8 bytes, which is 48 MB.
    expect(memoryBytes).toBeLessThan(42e6);
  });

  it('is cut so that every query meets every row once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 0, max: 20_000 }),
        fc.integer({ min: 1, max: 20_000 }),
        fc.integer({ min: 1, max: 4096 }),
        fc.integer({ min: 1, max: 8 }),
        (count, numRows, dim, k, numThreads) => {
          const { width, blockRows, lanes, strands } = planBlocks(count, numRows, dim, k, numThreads);
          let met = 0;
          for (const { from, to, first, end, slice } of strands) {
            expect(from).toBe(slice * width);
            expect(to - from).toBeLessThanOrEqual(width);
            expect(first % blockRows).toBe(0);
            met += (to - from) * (end - first);
          }
          expect(met).toBe(count * numRows);
          expect(width % 16).toBe(0);
          expect(lanes).toBeLessThanOrEqual(2 * numThreads);
          if (width > 16) expect(width * (8 * k + 6 * dim)).toBeLessThanOrEqual(4 << 20);
        },
      ),
      { seed: 4 },
    );
  });
});

describe('turns of bytes and f32', () => {
  it('stay with bytes while few rows are left open, and give f32 twice as long a turn each time when many are', () => {
    const turns = new Turns(10);
    let compared = 0;
    const take = (share: number): boolean => {
      const { isCoded } = turns;
      turns.took(1000, (compared += isCoded ? share * 1000 : 0));
      return isCoded;
    };
    expect([0.05, 0.01, 0.01, 0.02].map(take)).toEqual([true, true, true, true]);
    expect(Array.from({ length: 12 }, () => take(0.5))).toEqual([
      ...[true, false, true, false, false, true, false, false, false, false, true, false],
    ]);
  });
});
