import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type { IndexSpec, IvfCodes, Metric } from '../../../../contracts/ann.ts';
import { createBuilder } from '../../../../lib/ann/index.ts';
import type { IvfIndex } from '../../../../lib/ann/ivf/ivf.ts';
import { buildOf, fileOf, itKeepsTheContract, loadWith, recallOf, sectionsOf } from '../kind-contract.ts';
import { seededVectors } from '../seeded-vectors.ts';

const CODES: Record<string, IvfCodes> = {
  flat: { kind: 'flat' },
  sq8: { kind: 'sq8' },
  pq8: { kind: 'pq', m: 4, bits: 8, opq: false },
  'rotated pq4': { kind: 'pq', m: 4, bits: 4, opq: true },
};
const specOf =
  (codes: IvfCodes, changes: object = {}) =>
  (metric: Metric): IndexSpec => ({
    ...{ kind: 'ivf', metric, numLists: 40, nprobe: 8, codes, rescore: 12, seed: 5 },
    ...changes,
  });

describe.each(Object.entries(CODES))('lists of %s', (_, codes) => {
  itKeepsTheContract('lists', specOf(codes));

  it.each(METRICS)(
    'find 95 of 100 true neighbours in a fifth of the lists, with the scores of a scan (%s)',
    async (metric) => {
      const [rows, queries] = [seededVectors(4000, 24, 7, 60).slice(100), seededVectors(4000, 24, 7, 60).slice(0, 100)];
      const index = await buildOf(specOf(codes)(metric), rows);
      expect(recallOf(index, queries, { k: 10 })).toBeGreaterThanOrEqual(0.95);
      const all = { k: 3900, exact: true };
      for (const query of queries.slice(0, 5)) {
        const truth = index.search(query, all);
        const found = index.search(query, { k: 10 });
        expect([...found.scores]).toEqual([...found.rows].map((row) => truth.scores[truth.rows.indexOf(row)]));
      }
    },
  );

  it('looking at all lists finds what a scan finds', async () => {
    const vectors = seededVectors(1000, 20, 9);
    for (const metric of METRICS) {
      const index = await buildOf(specOf(codes, { rescore: 50 })(metric), vectors);
      for (const query of seededVectors(20, 20, 10)) {
        const found = index.search(query, { k: 10, nprobe: 40 });
        expect(found).toEqual({ ...index.search(query, { k: 10, exact: true }), plan: 'lists' });
      }
    }
  });
});

describe('an inverted file', () => {
  it('keeps every row and gives each back', async () => {
    for (const metric of ['l2', 'innerProduct'] as const) {
      const vectors = seededVectors(500, 7, 12);
      const index = await buildOf(specOf({ kind: 'flat' })(metric), vectors);
      expect(vectors.map((_, row) => index.vector(row))).toEqual(vectors);
    }
  });

  it('chooses lists and probes for itself, for 3 rows as for 4,000', async () => {
    const free = specOf({ kind: 'flat' }, { numLists: 0, nprobe: 0 })('cosine');
    const small = (await buildOf(free, seededVectors(3, 8, 13))) as IvfIndex;
    expect(small.numLists).toBe(1);
    expect(small.search(new Float32Array(8).fill(1), { k: 3 }).rows).toHaveLength(3);
    const large = (await buildOf(free, seededVectors(4000, 8, 14))) as IvfIndex;
    expect(large.numLists).toBe(125);
    expect(recallOf(large, seededVectors(50, 8, 15), { k: 10 })).toBeGreaterThanOrEqual(0.95);
  });

  it('keeps its lists balanced where nine rows of ten stand close together', async () => {
    const crowd = seededVectors(1, 16, 16)[0]!;
    const vectors = seededVectors(4000, 16, 17).map((vector, i) =>
      i % 10 === 0 ? vector : vector.map((value, d) => crowd[d]! + value / 100),
    );
    const index = (await buildOf(specOf({ kind: 'flat' })('l2'), vectors)) as IvfIndex;
    // All of the crowd in one list would be 40 x 0.9^2 = 32.
    expect(index.imbalance).toBeLessThan(4);
  });

  it('finds neighbours far from the origin, where L2 by products alone would lose them', async () => {
    const far = (vector: Float32Array): Float32Array => vector.map((value) => value / 10 + 5000);
    const index = await buildOf(specOf({ kind: 'flat' })('l2'), seededVectors(2000, 16, 18).map(far));
    expect(recallOf(index, seededVectors(50, 16, 19).map(far), { k: 10, nprobe: 12 })).toBeGreaterThanOrEqual(0.9);
  });

  it('answers batches of nearly all rows', async () => {
    const vectors = seededVectors(1200, 8, 20);
    const index = await buildOf(specOf({ kind: 'flat' })('l2'), vectors);
    const queries = Float32Array.from(vectors.slice(0, 40).flatMap((vector) => [...vector]));
    const answers = await index.searchBatch(queries, { k: 1100, nprobe: 1 });
    const truth = vectors.slice(0, 40).map((vector) => index.search(vector, { k: 1100, nprobe: 1 }));
    expect(answers).toEqual(truth);
    expect(answers.every(({ rows }) => rows.length === 1100)).toBe(true);
  });

  it('refuses files whose lists overlap or whose rows are not each in one place', async () => {
    const index = await buildOf(specOf({ kind: 'flat' })('l2'), seededVectors(500, 8, 21));
    const sections = await sectionsOf(await fileOf(index));
    const changed = (name: string, at: number, value: number): Record<string, Uint8Array> => {
      const numbers = new Int32Array(Uint8Array.from(sections[name]!).buffer);
      numbers[at < 0 ? numbers.length + at : at] = value;
      return { ...sections, [name]: new Uint8Array(numbers.buffer) };
    };
    const second = new Int32Array(Uint8Array.from(sections.ids!).buffer)[1]!;
    const bads = [
      ...[changed('ids', 0, 500), changed('ids', 0, -1), changed('ids', 0, second)],
      ...[
        changed('offsets', 0, -8),
        changed('offsets', 1, 400),
        changed('offsets', -1, 501),
        changed('offsets', 3, -1),
      ],
    ];
    for (const bad of bads) await expect(loadWith(index, bad)).rejects.toMatchObject({ code: 'corruptArtifact' });
    expect((await loadWith(index, sections)).size).toBe(500);
  });

  it('refuses codes that do not fit the dimension, and says which do', () => {
    const pq = specOf({ kind: 'pq', m: 5, bits: 8, opq: false })('l2');
    expect(() => createBuilder(pq, 12)).toThrow('Use one of 1, 2, 3, 4, 6, 12, or 0 for one that suits.');
  });

  it.each([
    [24, 3],
    [20, 2],
    [7, 1],
  ])('with m 0 cuts %i dimensions into %i parts of equal length', async (dim, m) => {
    const rows = seededVectors(400, dim, 22);
    const spec = (parts: number): IndexSpec => ({
      ...{ kind: 'ivf', metric: 'l2', numLists: 8, nprobe: 8, rescore: 0, seed: 4 },
      codes: { kind: 'pq', m: parts, bits: 8, opq: false },
    });
    const [free, given] = await Promise.all([0, m].map((parts) => buildOf(spec(parts), rows)));
    expect((await sectionsOf(await fileOf(free!)))['codes']).toHaveLength(400 * m);
    const again = await loadWith(free!, await sectionsOf(await fileOf(free!)));
    expect(again.spec).toEqual(spec(0));
    for (const query of rows.slice(0, 10)) {
      const found = given!.search(query, { k: 5 });
      expect(free!.search(query, { k: 5 })).toEqual(found);
      expect(again.search(query, { k: 5 })).toEqual(found);
    }
  });
});
