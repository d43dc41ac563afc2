import fc from 'fast-check';
import { expect, it } from 'vitest';
import { METRICS } from '../../../contracts/ann.ts';
import type { AnnIndex, IndexSpec, Metric, Neighbours, SearchOptions } from '../../../contracts/ann.ts';
import { startKernelThreads } from '../../../infra/ann/kernel-threads.ts';
import { createBitmap, createBuilder, loadIndex, setBit } from '../../../lib/ann/index.ts';
import { seededVectors } from './seeded-vectors.ts';

export async function buildOf(
  spec: IndexSpec,
  vectors: readonly Float32Array[],
  dim = vectors[0]!.length,
): Promise<AnnIndex> {
  const builder = createBuilder(spec, dim);
  for (const vector of vectors) builder.add(vector);
  return builder.build();
}

export const fileOf = async (index: AnnIndex): Promise<Buffer> => Buffer.concat(await index.serialise());

/** Share of the true `k` nearest that are found, over the queries. */
export function recallOf(index: AnnIndex, queries: readonly Float32Array[], options: SearchOptions): number {
  let found = 0;
  let wanted = 0;
  for (const query of queries) {
    const truth = new Set(index.search(query, { ...options, exact: true }).rows);
    wanted += truth.size;
    found += [...index.search(query, options).rows].filter((row) => truth.has(row)).length;
  }
  return found / wanted;
}

/** What every kind promises beside the rows, whatever its structure. `specOf` looks hard enough to answer by its structure. */
export function itKeepsTheContract(plan: Neighbours['plan'], specOf: (metric: Metric) => IndexSpec): void {
  const dim = 12;
  const vectors = seededVectors(1500, dim, 3);
  const queries = seededVectors(70, dim, 3).map((vector, i) =>
    i % 2 === 0 ? vector : vector.map((v) => v * 1.1 + 0.1),
  );
  const flat = Float32Array.from(queries.flatMap((query) => [...query]));

  it.each(METRICS)(
    'answers alike after save and load, and the same rows and seed give the same bytes (%s)',
    async (metric) => {
      const index = await buildOf(specOf(metric), vectors);
      const file = await fileOf(index);
      const loaded = await loadIndex(file);
      for (const query of queries) {
        const found = index.search(query, { k: 10 });
        expect(found.plan).toBe(plan);
        expect(loaded.search(query, { k: 10 })).toEqual(found);
      }
      expect(loaded.vector(3)).toEqual(index.vector(3));
      expect((await fileOf(await buildOf(specOf(metric), vectors))).equals(file)).toBe(true);
      expect((await fileOf(loaded)).equals(file)).toBe(true);
    },
  );

  it('threads build the same bytes and answer batches as single searches do, filtered or not', async () => {
    await using threads = startKernelThreads(2);
    const builder = createBuilder(specOf('l2'), dim, { threads });
    for (const vector of vectors) builder.add(vector);
    const index = await builder.build();
    const alone = await buildOf(specOf('l2'), vectors);
    expect((await fileOf(index)).equals(await fileOf(alone))).toBe(true);
    const allowed = createBitmap(vectors.length);
    for (let row = 0; row < vectors.length; row += 3) setBit(allowed, row);
    for (const options of [{ k: 7 }, { k: 7, allowed }, { k: 7, exact: true }]) {
      const singles = queries.map((query) => alone.search(query, options));
      expect(await index.searchBatch(flat, options)).toEqual(singles);
      expect(await alone.searchBatch(flat, options)).toEqual(singles);
    }
    await expect(index.searchBatch(flat, { k: 7, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(await index.searchBatch(new Float32Array(), { k: 7 })).toEqual([]);
  });

  it('batches that overlap, and searches between, answer as each alone does and leave no memory behind', async () => {
    await using threads = startKernelThreads(2);
    for (const machine of [{}, { threads }]) {
      const builder = createBuilder(specOf('l2'), dim, machine);
      for (const vector of vectors) builder.add(vector);
      const index = await builder.build();
      const singles = queries.map((query) => index.search(query, { k: 5 }));
      const before = index.memoryBytes;
      const first = index.searchBatch(queries[0]!, { k: 5 });
      const second = index.searchBatch(flat, { k: 5 });
      expect(await first).toEqual(singles.slice(0, 1));
      for (const query of queries) index.search(query, { k: 1400 });
      expect(await second).toEqual(singles);
      expect(index.memoryBytes).toBe(before);
    }
  });

  it('filtered searches return only allowed rows and as many as there are', async () => {
    const index = await buildOf(specOf('cosine'), vectors);
    const plans = new Set<string>();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(queries.length - 1),
        (k, share, at) => {
          const rows = vectors.map((_, i) => i).filter((i) => ((i * 7919) % vectors.length) / vectors.length < share);
          const allowed = createBitmap(vectors.length);
          for (const row of rows) setBit(allowed, row);
          const found = index.search(queries[at]!, { k, allowed });
          plans.add(found.plan);
          expect(found.rows.length).toBe(Math.min(k, rows.length));
          expect([...found.rows].every((row) => rows.includes(row))).toBe(true);
          expect(new Set(found.rows).size).toBe(found.rows.length);
          expect([...found.scores]).toEqual([...found.scores].sort((a, b) => b - a));
        },
      ),
      { seed: 1, numRuns: 60 },
    );
    expect([...plans].sort()).toEqual(['scan', plan].sort());
  });

  it('an empty index, one row, more wanted than there are, and equal rows', async () => {
    const query = new Float32Array(4).fill(1);
    for (const size of [0, 1, 3]) {
      const rows = seededVectors(size, 4, 5);
      const index = await buildOf(specOf('cosine'), rows, 4);
      const loaded = await loadIndex(await fileOf(index));
      for (const each of [index, loaded]) {
        expect(each.search(query, { k: 5 })).toEqual(each.search(query, { k: 5, exact: true }));
        expect(each.search(query, { k: 5 }).rows).toHaveLength(size);
        expect(await each.searchBatch(query, { k: 5 })).toHaveLength(1);
      }
    }
    const equal = await buildOf(specOf('l2'), Array<Float32Array>(600).fill(Float32Array.of(1, 2, 3, 4)));
    const found = equal.search(query, { k: 600 });
    expect(new Set(found.rows).size).toBe(600);
    expect(equal.search(query, { k: 5 }).rows).toHaveLength(5);
  });

  it('refuses NaN, a wrong dimension and an aborted build', async () => {
    const index = await buildOf(specOf('cosine'), vectors);
    expect(() => index.search(new Float32Array(5), { k: 1 })).toThrow(
      expect.objectContaining({ code: 'dimensionMismatch' }),
    );
    const notANumber = new Float32Array(dim).fill(NaN);
    expect(() => index.search(notANumber, { k: 1 })).toThrow(expect.objectContaining({ code: 'nonFinite' }));
    await expect(index.searchBatch(notANumber, { k: 1 })).rejects.toMatchObject({ code: 'nonFinite' });
    await expect(index.searchBatch(new Float32Array(5), { k: 1 })).rejects.toMatchObject({ code: 'dimensionMismatch' });
    const builder = createBuilder(specOf('cosine'), dim);
    for (const vector of vectors) builder.add(vector);
    const controller = new AbortController();
    setImmediate(() => controller.abort());
    await expect(builder.build(controller.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('refuses sections of another size, and structures that point outside the rows', async () => {
    const index = await buildOf(specOf('l2'), vectors);
    const more = await buildOf(specOf('l2'), vectors.slice(0, 900));
    const sections = await sectionsOf(await fileOf(index));
    const others = await sectionsOf(await fileOf(more));
    let numOfOtherSize = 0;
    const names = Object.keys(sections).filter((name) => name !== 'vectors');
    for (const name of names) {
      if (others[name]!.length === sections[name]!.length) continue;
      numOfOtherSize++;
      await expect(loadWith(index, { ...sections, [name]: others[name]! })).rejects.toMatchObject({
        code: 'corruptArtifact',
      });
    }
    // Exact has no structure.
    expect(numOfOtherSize > 0).toBe(names.length > 0);
    const file = await fileOf(index);
    for (const at of [file.length - 70, file.length >> 1, 60]) {
      const damaged = Buffer.from(file);
      damaged[at]! ^= 1;
      await expect(loadIndex(damaged)).rejects.toMatchObject({ code: 'corruptArtifact' });
    }
    await expect(loadIndex(file.subarray(0, -64))).rejects.toMatchObject({ code: 'corruptArtifact' });
  });
}

/** The parts of an index file by name. */
export async function sectionsOf(file: Buffer): Promise<Record<string, Uint8Array>> {
  const { decodeIndexFile } = await import('../../../lib/ann/index-file.ts');
  const names = [...file.toString('latin1').matchAll(/"name":"(\w+)","offset"/g)].map(([, name]) => name!);
  const { section } = await decodeIndexFile(file, () => undefined);
  return Object.fromEntries(names.map((name) => [name, section(name)]));
}

/** Loads a file whose checksums are right and whose contents are not. */
export async function loadWith(index: AnnIndex, sections: Record<string, Uint8Array>): Promise<AnnIndex> {
  const { encodeIndexFile } = await import('../../../lib/ann/index-file.ts');
  return loadIndex(Buffer.concat(await encodeIndexFile(index, sections)));
}
