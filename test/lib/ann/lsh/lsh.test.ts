import { describe, expect, it } from 'vitest';
import type { AnnIndex, LshSpec, Metric } from '../../../../contracts/ann.ts';
import { createBuilder } from '../../../../lib/ann/index.ts';
import { tuneLsh } from '../../../../lib/ann/lsh/tune-lsh.ts';
import { buildOf, fileOf, itKeepsTheContract, loadWith, recallOf, sectionsOf } from '../kind-contract.ts';
import { seededVectors } from '../seeded-vectors.ts';

const hyperplanes = (metric: Metric): LshSpec => ({
  kind: 'lsh',
  metric,
  family: 'hyperplane',
  tables: 8,
  bits: 12,
  probes: 24,
  seed: 5,
});
const polytopes = (metric: Metric): LshSpec => ({
  kind: 'lsh',
  metric,
  family: 'crossPolytope',
  tables: 8,
  bits: 2,
  probes: 24,
  seed: 5,
});

/** Far from the origin, as embeddings after a rectifier lie, so that hashing must take the mean off. */
const rows = seededVectors(6060, 40, 13, 60).map((vector) => vector.map((value) => value + 3));
const queries = rows.slice(0, 60);
const visitedShare = (index: AnnIndex, probes: number): number =>
  queries.reduce((sum, query) => sum + index.search(query, { k: 10, probes }).visited!, 0) /
  queries.length /
  index.size;

describe.each([
  ['hyperplane', hyperplanes],
  ['crossPolytope', polytopes],
] as const)('%s tables', (_, specOf) => {
  itKeepsTheContract('buckets', specOf);

  it.each(['cosine', 'l2'] as const)('find nine of ten neighbours in a twentieth of the rows (%s)', async (metric) => {
    const index = await buildOf(specOf(metric), rows.slice(60));
    expect(recallOf(index, queries, { k: 10, probes: 96 })).toBeGreaterThan(0.9);
    expect(visitedShare(index, 96)).toBeLessThan(0.05);
    expect(index.search(queries[0]!, { k: 10, probes: 96 }).plan).toBe('buckets');
    expect(recallOf(index, queries, { k: 10, probes: 400 })).toBeGreaterThan(0.97);
  });

  it('find neighbours by inner product in a few of the rows, less surely', async () => {
    const vectors = seededVectors(6060, 40, 13, 60);
    const index = await buildOf(specOf('innerProduct'), vectors.slice(60));
    const asked = vectors.slice(0, 60);
    expect(recallOf(index, asked, { k: 10, probes: 512 })).toBeGreaterThan(0.8);
    const visited = asked.map((query) => index.search(query, { k: 10, probes: 512 }).visited!);
    expect(visited.reduce((sum, each) => sum + each, 0) / 60 / 6000).toBeLessThan(0.15);
  });

  it('refuses files whose tables name rows or ranges that are not there', async () => {
    const index = await buildOf(specOf('l2'), rows.slice(0, 700));
    const sections = await sectionsOf(await fileOf(index));
    const changed = (name: string, change: (values: Uint32Array) => void): Record<string, Uint8Array> => {
      const bytes = Uint8Array.from(sections[name]!);
      change(new Uint32Array(bytes.buffer));
      return { ...sections, [name]: bytes };
    };
    const bads = [
      changed('rows', (values) => (values[5] = 700)),
      changed('directory', (values) => (values[3] = 701)),
      changed('directory', (values) => (values[values.length - 1] = 0)),
      changed('directory', (values) => (values[2] = 0xffffffff)),
      changed('sphere', (values) => (values[1] = 0x7fc00000)),
      { ...sections, sphere: sections.sphere!.subarray(4) },
    ];
    for (const bad of bads) await expect(loadWith(index, bad)).rejects.toMatchObject({ code: 'corruptArtifact' });
  });
});

describe('lsh', () => {
  it('keys beyond 32 bits and unknown families are refused with the most that is possible', () => {
    const spec = polytopes('l2');
    expect(() => createBuilder({ ...spec, bits: 5 }, 200)).toThrow('`bits` to be at most 4');
    expect(() => createBuilder({ ...spec, bits: 33, family: 'hyperplane' }, 200)).toThrow('`bits`');
    expect(() => createBuilder({ ...spec, family: 'spiral' as 'hyperplane' }, 200)).toThrow('`family`');
  });

  it('keys longer than the directory are told apart', async () => {
    const vectors = rows.slice(60, 1060);
    const index = await buildOf({ ...hyperplanes('l2'), bits: 30, tables: 2 }, vectors);
    expect(Object.keys(await sectionsOf(await fileOf(index)))).toContain('keys');
    const { rows: found, visited } = index.search(vectors[7]!, { k: 1, probes: 2 });
    expect([...found]).toEqual([7]);
    expect(visited).toBeLessThan(100);
  });
});

describe('tuneLsh', () => {
  it('chooses parameters that reach the wanted recall on all rows, cheaply, and says why', async () => {
    const sample = Float32Array.from(rows.slice(0, 2000).flatMap((row) => [...row]));
    const input = { sample, dim: 40, metric: 'l2', size: 6000, seed: 3 } as const;
    const [low, high] = [
      await tuneLsh({ ...input, wantedRecall: 0.6, maxTables: 8 }),
      await tuneLsh({ ...input, wantedRecall: 0.95, maxTables: 8 }),
    ];
    expect(high.cost).toBeGreaterThan(low.cost);
    expect(high.trials.map(({ cost }) => cost)).toEqual(high.trials.map(({ cost }) => cost).sort((a, b) => a - b));
    expect(new Set(high.trials.map(({ spec }) => spec.family)).size).toBe(2);
    const index = await buildOf(high.spec, rows.slice(60));
    expect(recallOf(index, queries, { k: 10 })).toBeGreaterThan(0.93);
    expect(visitedShare(index, high.spec.probes)).toBeLessThan(2 * high.share);
    expect(high.why).toContain(`${high.spec.probes} probes`);
    expect(high.why).toContain('recall@10 0.95');
    expect(await tuneLsh({ ...input, wantedRecall: 0.95, maxTables: 8 })).toEqual(high);
  }, 30_000);

  it('refuses a sample that is too small', async () => {
    const input = { dim: 4, metric: 'l2', wantedRecall: 0.9, size: 1000, seed: 1 } as const;
    await expect(tuneLsh({ ...input, sample: new Float32Array(400) })).rejects.toMatchObject({ code: 'invalidInput' });
  });
});
