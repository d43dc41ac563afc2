import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../contracts/ann.ts';
import type { AnnIndex, IndexSpec, Metric } from '../../../contracts/ann.ts';
import { encodeIndexFile } from '../../../lib/ann/index-file.ts';
import { createBitmap, createBuilder, loadIndex, setBit } from '../../../lib/ann/index.ts';
import { seededVectors } from './seeded-vectors.ts';

const hnsw = (metric: Metric, seed = 7): IndexSpec => ({
  kind: 'hnsw',
  metric,
  m: 12,
  efConstruction: 100,
  efSearch: 64,
  seed,
});

async function build(spec: IndexSpec, vectors: Float32Array[]): Promise<AnnIndex> {
  const builder = createBuilder(spec, vectors[0]!.length);
  for (const vector of vectors) builder.add(vector);
  return builder.build();
}

/** The definitions, in doubles. */
function naive(metric: Metric, vectors: Float32Array[], query: Float32Array, k: number): number[] {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const score = (x: Float32Array): number => {
    if (metric === 'innerProduct') return dot(x, query);
    if (metric === 'cosine') return dot(x, query) / Math.sqrt(dot(x, x) * dot(query, query));
    return -x.reduce((sum, value, i) => sum + (value - query[i]!) ** 2, 0);
  };
  const scores = vectors.map(score);
  return [...scores.keys()].sort((i, j) => scores[j]! - scores[i]! || i - j).slice(0, k);
}

const join = async (index: AnnIndex): Promise<Buffer> => Buffer.concat(await index.serialise());

describe('ann', () => {
  it.each(METRICS)('exact %s agrees with the definition', async (metric) => {
    const vectors = seededVectors(300, 13, 3);
    const index = await build({ kind: 'exact', metric }, vectors);
    for (const query of seededVectors(20, 13, 4)) {
      const { rows, plan } = index.search(query, { k: 10 });
      expect([...rows]).toEqual(naive(metric, vectors, query, 10));
      expect(plan).toBe('scan');
    }
  });

  it.each(['cosine', 'l2'] as const)('hnsw %s walks its graph and finds 95 of 100 true neighbours', async (metric) => {
    const vectors = seededVectors(3000, 32, 5);
    const index = await build(hnsw(metric), vectors);
    let found = 0;
    for (const query of vectors.slice(0, 100)) {
      const truth = new Set(index.search(query, { k: 10, exact: true }).rows);
      const { rows, plan } = index.search(query, { k: 10 });
      expect(plan).toBe('graph');
      found += [...rows].filter((row) => truth.has(row)).length;
    }
    expect(found / 1000).toBeGreaterThanOrEqual(0.95);
  });

  it('the same rows and seed give the same bytes, another seed others', async () => {
    const vectors = seededVectors(500, 16, 6);
    const [one, two, other] = await Promise.all(
      [7, 7, 8].map(async (s) => join(await build(hnsw('cosine', s), vectors))),
    );
    expect(one!.equals(two!)).toBe(true);
    expect(one!.equals(other!)).toBe(false);
  });

  it.each([{ kind: 'exact', metric: 'l2' } as const, hnsw('cosine')])(
    '$kind answers alike after save and load',
    async (spec) => {
      const vectors = seededVectors(1500, 16, 8);
      const index = await build(spec, vectors);
      const loaded = await loadIndex(await join(index));
      for (const query of seededVectors(30, 16, 9)) {
        expect(loaded.search(query, { k: 10 })).toEqual(index.search(query, { k: 10 }));
      }
      expect(loaded.vector(3)).toEqual(index.vector(3));
    },
  );

  it('refuses truncated, damaged and newer files', async () => {
    const file = await join(await build(hnsw('cosine'), seededVectors(100, 8, 10)));
    const damaged = (at: number): Buffer => {
      const copy = Buffer.from(file);
      copy[at]! ^= 1;
      return copy;
    };
    const bad = [
      file.subarray(0, 20),
      file.subarray(0, -100),
      Buffer.concat([file, Buffer.alloc(64)]),
      Buffer.alloc(0),
    ];
    for (const each of [...bad, damaged(0), damaged(8), damaged(60), damaged(700), damaged(file.length - 200)]) {
      await expect(loadIndex(each)).rejects.toMatchObject({ code: 'corruptArtifact' });
    }
  });

  it('refuses bytes beside the sections, and shapes that no index has', async () => {
    const index = await build({ kind: 'exact', metric: 'l2' }, seededVectors(1, 3, 10));
    const file = await join(index);
    file[file.length - 1] = 1;
    await expect(loadIndex(file)).rejects.toThrow('zeros between its sections');
    for (const [dim, size] of [
      [0, 1000],
      [-1, -4],
      [0.5, 8],
    ] as const) {
      const contents = { vectors: new Uint8Array(dim * size * 4) };
      const hostile = Buffer.concat(await encodeIndexFile({ spec: index.spec, dim, size }, contents));
      await expect(loadIndex(hostile)).rejects.toMatchObject({ code: 'corruptArtifact' });
    }
  });

  it('filtered searches return only allowed rows, as many as there are, and exactly when few are', async () => {
    const vectors = seededVectors(2000, 8, 11);
    const index = await build(hnsw('cosine'), vectors);
    const plans = new Set<string>();
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(1999),
        (k, share, at) => {
          const allowed = createBitmap(2000);
          const rows = vectors.map((_, i) => i).filter((i) => ((i * 7919) % 2000) / 2000 < share);
          for (const row of rows) setBit(allowed, row);
          const found = index.search(vectors[at]!, { k, allowed });
          plans.add(found.plan);
          expect(found.rows.length).toBe(Math.min(k, rows.length));
          expect([...found.rows].every((row) => rows.includes(row))).toBe(true);
          expect(new Set(found.rows).size).toBe(found.rows.length);
          if (found.plan === 'scan')
            expect(found.rows).toEqual(index.search(vectors[at]!, { k, allowed, exact: true }).rows);
        },
      ),
      { seed: 1, numRuns: 100 },
    );
    expect(plans).toContain('scan');
    expect(plans).toContain('graph');
  });

  it('refuses wrong dimensions, NaN, bad parameters and an aborted search', async () => {
    const builder = createBuilder({ kind: 'exact', metric: 'cosine' }, 4);
    expect(() => builder.add(new Float32Array(3))).toThrow(expect.objectContaining({ code: 'dimensionMismatch' }));
    expect(() => builder.add(new Float32Array(4).fill(NaN))).toThrow(expect.objectContaining({ code: 'nonFinite' }));
    builder.add(new Float32Array(4).fill(1));
    const index = await builder.build();
    const query = new Float32Array(4).fill(1);
    expect(() => index.search(query, { k: 0 })).toThrow(expect.objectContaining({ code: 'invalidInput' }));
    const aborted = { k: 1, signal: AbortSignal.abort() };
    expect(() => index.search(query, aborted)).toThrow(expect.objectContaining({ code: 'cancelled' }));
    expect(() => createBuilder({ ...hnsw('cosine'), m: 1 } as IndexSpec, 4)).toThrow('`m`');
    const empty = await createBuilder(hnsw('cosine'), 4).build();
    expect((await loadIndex(await join(empty))).search(query, { k: 5 }).rows).toHaveLength(0);
  });
});
