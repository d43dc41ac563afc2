import { describe, expect, it } from 'vitest';
import type { AnnIndex, DeepHashSpec, Metric } from '../../../../contracts/ann.ts';
import { createBitmap, createBuilder, setBit } from '../../../../lib/ann/index.ts';
import { buildOf, fileOf, itKeepsTheContract, loadWith, recallOf, sectionsOf } from '../kind-contract.ts';
import { seededVectors } from '../seeded-vectors.ts';

const learned = (metric: Metric): DeepHashSpec => ({
  kind: 'deepHash',
  metric,
  bits: 128,
  code: 'learned',
  epochs: 1,
  rescore: 5,
  seed: 5,
});
const hyperplane = (metric: Metric): DeepHashSpec => ({ ...learned(metric), code: 'hyperplane' });

/** Clusters whose directions are of very unequal weight, with an offset, as embeddings lie. */
function clustered(count: number): Float32Array[] {
  return seededVectors(count, 64, 21, 40).map((vector) => vector.map((value, i) => 0.5 + value * 0.9 ** i));
}

/** Rows by Hamming distance of their stored codes to the code of the row `asked`, then by row. */
function byDistance(codes: Uint8Array, bytes: number, asked: number): number[] {
  const distance = (row: number): number => {
    let sum = 0;
    for (let i = 0; i < bytes; i++) {
      for (let v = codes[row * bytes + i]! ^ codes[asked * bytes + i]!; v !== 0; v &= v - 1) sum++;
    }
    return sum;
  };
  const distances = Array.from({ length: codes.length / bytes }, (_, row) => distance(row));
  return [...distances.keys()].sort((a, b) => distances[a]! - distances[b]! || a - b);
}

describe('a learned code', () => {
  itKeepsTheContract('codes', learned);

  it('finds at least 4 points more of the true neighbours than hyperplanes with as many bits', async () => {
    const vectors = clustered(3100);
    const [rows, queries] = [vectors.slice(100), vectors.slice(0, 100)];
    const recall = async (spec: DeepHashSpec): Promise<number> =>
      recallOf(await buildOf(spec, rows), queries, { k: 10, rescore: 0 });
    const random = await recall(hyperplane('cosine'));
    const untrained = await recall({ ...learned('cosine'), epochs: 0 });
    const trained = await recall({ ...learned('cosine'), epochs: 6 });
    expect(trained).toBeGreaterThan(random + 0.04);
    expect(trained).toBeGreaterThan(untrained);
  }, 60_000);

  it('makes use of more bits, and of comparing more candidates', async () => {
    const vectors = clustered(2050);
    const [rows, queries] = [vectors.slice(50), vectors.slice(0, 50)];
    const build = (bits: DeepHashSpec['bits']): Promise<AnnIndex> =>
      buildOf({ ...learned('l2'), epochs: 0, bits }, rows);
    const [few, many] = [await build(64), await build(256)];
    const recalls = [0, 2, 10].map((rescore) => recallOf(many, queries, { k: 10, rescore }));
    expect(recallOf(few, queries, { k: 10, rescore: 0 })).toBeLessThan(recalls[0]!);
    expect(recalls[0]).toBeLessThan(recalls[1]!);
    expect(recalls[1]).toBeLessThan(recalls[2]!);
    expect(recalls[2]).toBeGreaterThan(0.98);
  });

  it('fewer rows than can be learnt from get hyperplanes', async () => {
    const rows = seededVectors(200, 8, 4);
    const codes = async (spec: DeepHashSpec): Promise<Uint8Array> =>
      (await sectionsOf(await fileOf(await buildOf(spec, rows)))).codes!;
    expect(await codes(learned('l2'))).toEqual(await codes(hyperplane('l2')));
  });
});

describe('hyperplanes', () => {
  itKeepsTheContract('codes', hyperplane);

  it.each([64, 128, 256] as const)(
    '%i bits: the codes alone give the rows of least distance, ties by row',
    async (bits) => {
      // Few directions, so that many distances are equal; enough rows to cross blocks and to compact what is kept.
      const vectors = seededVectors(20_000, 2, 6, 4);
      const index = await buildOf({ ...hyperplane('l2'), bits, rescore: 0 }, vectors);
      const { codes } = await sectionsOf(await fileOf(index));
      const allowed = createBitmap(vectors.length);
      for (let row = 5; row < vectors.length; row += 7) setBit(allowed, row);
      for (const asked of [0, 77, 19_999]) {
        const order = byDistance(codes!, bits / 8, asked);
        for (const k of [1, 10, 3000]) {
          const { rows, scores, plan } = index.search(vectors[asked]!, { k });
          expect([...rows]).toEqual(order.slice(0, k));
          expect(plan).toBe('codes');
          expect(scores[0]).toBe(1);
          const few = index.search(vectors[asked]!, { k: Math.min(k, 2000), allowed });
          expect([...few.rows]).toEqual(order.filter((row) => row % 7 === 5).slice(0, Math.min(k, 2000)));
        }
      }
      const flat = Float32Array.from(vectors.slice(0, 40).flatMap((vector) => [...vector]));
      expect(await index.searchBatch(flat, { k: 5 })).toEqual(
        vectors.slice(0, 40).map((vector) => index.search(vector, { k: 5 })),
      );
    },
  );
});

describe('deepHash', () => {
  it('refuses other bits and codes, and files whose functions are not numbers', async () => {
    const spec = hyperplane('l2');
    expect(() => createBuilder({ ...spec, bits: 96 as 64 }, 4)).toThrow('`bits` to be one of 64, 128, 256, got 96');
    expect(() => createBuilder({ ...spec, code: 'spectral' as 'learned' }, 4)).toThrow('`code`');
    const index = await buildOf(spec, seededVectors(100, 8, 2));
    const sections = await sectionsOf(await fileOf(index));
    const weights = new Uint8Array(new Float32Array(sections.weights!.length / 4).fill(NaN).buffer);
    await expect(loadWith(index, { ...sections, weights })).rejects.toMatchObject({ code: 'corruptArtifact' });
    const short = { ...sections, codes: sections.codes!.subarray(16) };
    await expect(loadWith(index, short)).rejects.toMatchObject({ code: 'corruptArtifact' });
  });
});
