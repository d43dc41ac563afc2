import hnswlib from 'hnswlib-node';
import { beforeAll, describe, expect, it } from 'vitest';
import { METRICS } from '../../../../contracts/ann.ts';
import type { AnnIndex, HnswSpec, IndexSpec, Metric } from '../../../../contracts/ann.ts';
import { drawLevels, insertionOrder } from '../../../../lib/ann/hnsw/levels.ts';
import { createBitmap, createBuilder, setBit } from '../../../../lib/ann/index.ts';
import { buildOf, fileOf, itKeepsTheContract, loadWith, recallOf, sectionsOf } from '../kind-contract.ts';
import { seededRandom, seededVectors } from '../seeded-vectors.ts';

const STORAGES = ['float32', 'int8'] as const;
const spec = (metric: Metric, storage: HnswSpec['storage'] = 'int8', efSearch = 48): HnswSpec => ({
  ...{ kind: 'hnsw', metric, storage, m: 12, efConstruction: 80, efSearch },
  seed: 7,
});

describe.each(STORAGES)('hnsw over %s', (storage) => {
  itKeepsTheContract('graph', (metric) => spec(metric, storage));

  it.each(METRICS)(
    'finds what hnswlib finds with the same parameters, with the scores of a scan (%s)',
    async (metric) => {
      const dim = 24;
      const vectors = seededVectors(2550, dim, 5, 40);
      const rows = vectors.slice(50);
      const queries = vectors.slice(0, 50);
      const index = await buildOf(spec(metric, storage), rows);
      const peer = new hnswlib.HierarchicalNSW(metric === 'l2' ? 'l2' : metric === 'cosine' ? 'cosine' : 'ip', dim);
      peer.initIndex(rows.length, 12, 80, 7);
      rows.forEach((row, i) => peer.addPoint([...row], i));
      peer.setEf(48);
      let hits = 0;
      for (const query of queries) {
        const truth = index.search(query, { k: 10, exact: true });
        hits += peer.searchKnn([...query], 10).neighbors.filter((row) => truth.rows.includes(row)).length;
        const found = index.search(query, { k: 10 });
        expect(found.plan).toBe('graph');
        found.rows.forEach((row, i) => {
          const at = truth.rows.indexOf(row);
          if (at >= 0) expect(found.scores[i]).toBe(truth.scores[at]);
        });
      }
      expect(recallOf(index, queries, { k: 10 })).toBeGreaterThanOrEqual(hits / 500 - 0.01);
      expect(hits / 500).toBeGreaterThan(0.9);
    },
  );
});

describe('the codes of hnsw', () => {
  it('keep recall where dimensions differ a thousandfold, stand still, or lie far from zero', async () => {
    const stretch = (vector: Float32Array): Float32Array =>
      vector.map((value, i) => (i === 0 ? 5 : i % 3 === 0 ? value * 1000 : i % 3 === 1 ? value + 4000 : value));
    const vectors = seededVectors(2050, 20, 9, 40).map(stretch);
    const index = await buildOf(spec('l2'), vectors.slice(50));
    expect(recallOf(index, vectors.slice(0, 50), { k: 10 })).toBeGreaterThan(0.97);
  });

  it('lose less when more of what a walk found is compared again', async () => {
    // Clusters of near twins: closer together than a code can tell.
    const centres = seededVectors(200, 16, 3, 200);
    const random = seededRandom(4);
    const vectors = Array.from({ length: 2000 }, (_, i) => centres[i % 200]!.map((v) => v + 0.02 * random()));
    const index = await buildOf(spec('l2', 'int8', 64), vectors);
    const queries = vectors.slice(0, 60);
    const few = recallOf(index, queries, { k: 4, rescore: 1 });
    const more = recallOf(index, queries, { k: 4, rescore: 4 });
    expect(more).toBeGreaterThan(few);
    expect(more).toBeGreaterThan(0.98);
  });

  it('are no other storage than those there are', () => {
    expect(() => createBuilder({ ...spec('l2'), storage: 'float16' } as unknown as IndexSpec, 4)).toThrow('`storage`');
  });
});

describe('the graph of hnsw', () => {
  const vectors = seededVectors(6060, 16, 21, 60);
  const rows = vectors.slice(60);
  const queries = vectors.slice(0, 60);
  let index: AnnIndex;
  beforeAll(async () => {
    index = await buildOf(spec('cosine'), rows);
  });

  function allowing(isAllowed: (row: number) => boolean): Uint32Array {
    const allowed = createBitmap(rows.length);
    for (let row = 0; row < rows.length; row++) if (isAllowed(row)) setBit(allowed, row);
    return allowed;
  }

  it('finds as much behind a filter as without one, whatever part of the rows it lets through', () => {
    const random = seededRandom(2);
    const keys = rows.map(() => random());
    for (const [share, plan] of [
      [0.5, 'graph'],
      [0.3, 'graph'],
      [0.1, 'scan'],
      [0.01, 'scan'],
      [0.001, 'scan'],
    ] as const) {
      const allowed = allowing((row) => keys[row]! < share);
      expect(index.search(queries[0]!, { k: 10, allowed, efSearch: 32 }).plan).toBe(plan);
      expect(recallOf(index, queries, { k: 10, allowed, efSearch: 32 })).toBeGreaterThan(0.97);
    }
  });

  it('gives all that are asked for when everything near is barred', () => {
    const query = queries[0]!;
    const near = new Set(index.search(query, { k: 3000, exact: true }).rows);
    const allowed = allowing((row) => !near.has(row));
    const found = index.search(query, { k: 10, allowed });
    expect(found.plan).toBe('graphThenScan');
    expect(found.rows).toEqual(index.search(query, { k: 10, allowed, exact: true }).rows);
  });

  it('walks as wide as it must to answer more than efSearch', async () => {
    const options = { k: 100, efSearch: 20 };
    for (const query of queries.slice(0, 10)) {
      const found = index.search(query, options);
      expect(found.plan).toBe('graph');
      expect(found.rows).toHaveLength(100);
    }
    const [found] = await index.searchBatch(queries[0]!, options);
    expect(found).toEqual(index.search(queries[0]!, options));
  });

  it('finds more the wider it walks', () => {
    const narrow = recallOf(index, queries, { k: 10, efSearch: 10 });
    const wide = recallOf(index, queries, { k: 10, efSearch: 300 });
    expect(narrow).toBeGreaterThan(0.5);
    expect(wide).toBeGreaterThan(Math.max(narrow, 0.99));
  });

  it('is as good when rows come cluster after cluster', async () => {
    const random = seededRandom(6);
    const sorted = Array.from({ length: 40 }, (_, cluster) => seededVectors(80, 16, 100 + cluster, 1)).flat();
    const mixed = sorted
      .map((row) => ({ row, key: random() }))
      .sort((a, b) => a.key - b.key)
      .map(({ row }) => row);
    const options = { k: 10, efSearch: 24 };
    const some = mixed.slice(0, 100).map((row) => row.map((value) => value + 0.1));
    const [one, two] = await Promise.all([buildOf(spec('cosine'), sorted), buildOf(spec('cosine'), mixed)]);
    expect(recallOf(one, some, options)).toBeGreaterThan(recallOf(two, some, options) - 0.02);
    expect(recallOf(one, some, options)).toBeGreaterThan(0.95);
  });

  it('tells how many rows are in, up to all, and differs by seed', async () => {
    const done: number[] = [];
    const builder = createBuilder({ ...spec('cosine'), seed: 8 }, 16);
    for (const row of rows.slice(0, 1500)) builder.add(row);
    const other = await builder.build(undefined, (rowsDone) => done.push(rowsDone));
    expect(done).toEqual([...done].sort((a, b) => a - b));
    expect(done.at(-1)).toBe(1500);
    const same = await buildOf(spec('cosine'), rows.slice(0, 1500));
    expect((await fileOf(other)).equals(await fileOf(same))).toBe(false);
  });

  it('is refused when its levels or links are none, and still gives all rows when its links are lost', async () => {
    const small = await buildOf(spec('l2'), rows.slice(0, 1200));
    const sections = await sectionsOf(await fileOf(small));
    const links = (name: string, change: (links: Int32Array) => void): Record<string, Uint8Array> => {
      const copy = new Int32Array(Uint8Array.from(sections[name]!).buffer);
      change(copy);
      return { ...sections, [name]: new Uint8Array(copy.buffer) };
    };
    const flat = sections.levels!.indexOf(0);
    for (const bad of [
      links('ground', (ground) => (ground[5] = 1200)),
      links('ground', (ground) => (ground[5] = -2)),
      // A row without that layer: its links there would be those of another.
      links('upper', (upper) => (upper[0] = flat)),
      { ...sections, levels: sections.levels!.map((level, i) => (i === flat ? 200 : level)) },
      { ...sections, levels: sections.levels!.map((level, i) => (i === flat ? 1 : level)) },
      { ...sections, upper: sections.upper!.subarray(0, -4) },
    ]) {
      await expect(loadWith(small, bad)).rejects.toMatchObject({ code: 'corruptArtifact' });
    }
    const lost = await loadWith(
      small,
      links('ground', (ground) => ground.fill(-1)),
    );
    const found = lost.search(queries[0]!, { k: 10 });
    expect(found.plan).toBe('graphThenScan');
    expect(found.rows).toEqual(small.search(queries[0]!, { k: 10, exact: true }).rows);
  });
});

describe('levels of hnsw', () => {
  it('thin out by m, and rows are inserted once each, the highest first', () => {
    const levels = drawLevels(20_000, 8, 3);
    for (const level of [1, 2, 3]) {
      const share = levels.filter((each) => each >= level).length / 20_000;
      expect(share * 8 ** level).toBeGreaterThan(0.6);
      expect(share * 8 ** level).toBeLessThan(1.5);
    }
    const order = insertionOrder(levels, 3);
    expect(new Set(order).size).toBe(20_000);
    expect([...order].map((row) => levels[row]!)).toEqual([...levels].sort((a, b) => b - a));
  });
});
