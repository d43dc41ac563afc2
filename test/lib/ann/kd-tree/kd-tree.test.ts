import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type { IndexSpec, Metric } from '../../../../contracts/ann.ts';
import { createBuilder } from '../../../../lib/ann/index.ts';
import { buildOf, fileOf, itKeepsTheContract, loadWith, recallOf, sectionsOf } from '../kind-contract.ts';
import { seededRandom, seededVectors } from '../seeded-vectors.ts';

const exactTree = (metric: Metric): IndexSpec => ({
  kind: 'kdTree',
  metric,
  trees: 1,
  leafSize: 8,
  checks: 0,
  seed: 5,
});
const forest = (metric: Metric): IndexSpec => ({ kind: 'kdTree', metric, trees: 6, leafSize: 8, checks: 150, seed: 5 });

describe('an exact tree', () => {
  itKeepsTheContract('tree', exactTree);

  it.each(METRICS)(
    'gives what a scan gives, scores and order, at any dimension and at equal rows (%s)',
    async (metric) => {
      for (const dim of [1, 2, 3, 5, 16, 33]) {
        // Some rows twice, some on a grid, some at the origin: ties within, across and on the cuts.
        const random = seededRandom(dim);
        const vectors = seededVectors(700, dim, dim).map((vector, i) =>
          i % 7 === 0 ? vector.map((v) => Math.round(v)) : i % 11 === 0 ? vector.fill(0) : vector,
        );
        vectors.push(...vectors.slice(0, 100));
        const index = await buildOf(exactTree(metric), vectors);
        const queries = seededVectors(40, dim, dim + 1).map((query, i) => (i % 4 === 0 ? query.fill(0) : query));
        for (const query of [...queries, ...vectors.slice(0, 40)]) {
          const k = 1 + Math.floor(random() * 20);
          const { rows, scores, plan } = index.search(query, { k });
          const truth = index.search(query, { k, exact: true });
          expect(plan).toBe('tree');
          expect(rows).toEqual(truth.rows);
          expect(scores).toEqual(truth.scores);
        }
      }
    },
  );

  it('visits few rows in 3 dimensions, nearly all in 256, and tells how many', async () => {
    const share = async (dim: number): Promise<number> => {
      const random = seededRandom(1);
      const vectors = Array.from({ length: 2020 }, () => Float32Array.from({ length: dim }, () => random()));
      const index = await buildOf(exactTree('l2'), vectors.slice(20));
      const visited = vectors.slice(0, 20).map((query) => index.search(query, { k: 1 }).visited!);
      return visited.reduce((sum, each) => sum + each, 0) / 20 / 2000;
    };
    expect(await share(3)).toBeLessThan(0.05);
    expect(await share(256)).toBeGreaterThan(0.9);
  });
});

describe('a forest', () => {
  itKeepsTheContract('tree', forest);

  it.each(METRICS)(
    'finds nine of ten neighbours by comparing a tenth of the rows, and all by comparing all (%s)',
    async (metric) => {
      const vectors = seededVectors(5050, 32, 11, 50);
      const index = await buildOf(forest(metric), vectors.slice(50));
      const queries = vectors.slice(0, 50);
      expect(recallOf(index, queries, { k: 10, checks: 500 })).toBeGreaterThan(0.9);
      expect(recallOf(index, queries, { k: 10, checks: 4999 })).toBeGreaterThan(0.999);
      const visited = queries.map((query) => index.search(query, { k: 10, checks: 500 }).visited!);
      expect(Math.max(...visited)).toBeLessThan(500 + 8);
    },
  );

  it('more trees find more with the same checks, and another seed makes other trees', async () => {
    const vectors = seededVectors(5050, 32, 11, 50);
    const rows = vectors.slice(50);
    const build = (trees: number, seed: number): Promise<Awaited<ReturnType<typeof buildOf>>> =>
      buildOf({ ...forest('cosine'), trees, seed } as IndexSpec, rows);
    const [one, eight, other] = await Promise.all([build(1, 1), build(8, 1), build(8, 2)]);
    const options = { k: 10, checks: 200 };
    const queries = vectors.slice(0, 50);
    expect(recallOf(eight, queries, options)).toBeGreaterThan(recallOf(one, queries, options) + 0.05);
    expect((await fileOf(eight)).equals(await fileOf(other))).toBe(false);
  });

  it('refuses a forest without checks, and files whose trees name rows or axes that are not there', async () => {
    expect(() => createBuilder({ ...forest('l2'), checks: 0 } as IndexSpec, 4)).toThrow('`checks`');
    const index = await buildOf(forest('l2'), seededVectors(300, 8, 2));
    const sections = await sectionsOf(await fileOf(index));
    const twice = Int32Array.from(new Int32Array(Uint8Array.from(sections.order!).buffer));
    twice[0] = twice[1]!;
    const outside = new Int32Array(twice.length).fill(300);
    const axes = new Int32Array(sections.cutAxes!.length / 4).fill(8);
    const values = new Float32Array(sections.cutValues!.length / 4).fill(NaN);
    const bytes = (view: Int32Array | Float32Array): Uint8Array => new Uint8Array(view.buffer);
    const bads: Record<string, Uint8Array>[] = [
      { order: bytes(twice) },
      { order: bytes(outside) },
      { cutAxes: bytes(axes) },
      { cutValues: bytes(values) },
    ];
    for (const bad of bads) {
      await expect(loadWith(index, { ...sections, ...bad })).rejects.toMatchObject({ code: 'corruptArtifact' });
    }
  });
});
