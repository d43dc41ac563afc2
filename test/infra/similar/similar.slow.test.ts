import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { SimilarConfig, SimilarList, SimilarSummary } from '../../../contracts/similar.ts';
import { publishIndex } from '../../../infra/shards/index.ts';
import { assembleSimilar, planSimilar } from '../../../infra/similar/assemble-similar.ts';
import { findSimilarChunk } from '../../../infra/similar/find-chunk.ts';
import { createSimilarReader } from '../../../infra/similar/similar-reader.ts';
import type { SimilarReader } from '../../../infra/similar/similar-reader.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { buildShards, openTestStores, publishData } from '../router/cluster.ts';
import type { Data } from '../router/cluster.ts';

const CONFIG: SimilarConfig = { k: 6, withinCategory: false, exact: false, chunkItems: 100, nearDuplicateScore: 0.9 };
let stores: ShardStores & { close(): Promise<void> };
let data: Data;
let index: string;
let reader: SimilarReader;

beforeAll(async () => {
  stores = await openTestStores();
  data = await publishData(stores, 'item', 400, 5);
  const shards = (await buildShards(stores, data, 3)).map(({ id }) => id);
  const spec = { kind: 'exact', metric: 'cosine' } as const;
  index = (await publishIndex({ stores, ...data, model: 'model-test', spec, shards, minIndexRecall: 1 })).artifact.id;
  reader = createSimilarReader(stores);
});
afterAll(async () => {
  await reader.close();
  await stores.close();
});

async function run(config: SimilarConfig): Promise<{ artifact: string; summary: SimilarSummary }> {
  const { numChunks } = await planSimilar(stores, index, config);
  for (let chunk = 0; chunk < numChunks; chunk++) await findSimilarChunk({ stores, index, config, chunk });
  const made = await assembleSimilar({ stores, index, config });
  return { artifact: made.id, summary: made.manifest.summary as unknown as SimilarSummary };
}

const cosine = (a: Float32Array, b: Float32Array): number => {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
};
/** The oracle: every other item by descending cosine, in doubles. */
function nearest(id: string, admit: (other: string) => boolean): { id: string; score: number }[] {
  const query = data.vectorOf.get(id)!;
  return [...data.vectorOf]
    .filter(([other]) => other !== id && admit(other))
    .map(([other, vector]) => ({ id: other, score: cosine(query, vector) }))
    .sort((a, b) => b.score - a.score);
}
const ids = (list: { id: string }[]): string[] => list.map((one) => one.id);

describe('similar items', () => {
  it('are the true neighbours over all shards, an item never its own, when nothing is near enough to be a duplicate', async () => {
    const { artifact, summary } = await run({ ...CONFIG, nearDuplicateScore: null });
    expect(summary).toMatchObject({ numItems: 392, numGroups: 0, numGrouped: 0, nearDuplicateScore: null });
    for (const id of data.vectorOf.keys()) {
      const list = (await reader.lookup(artifact, id)) as SimilarList;
      const truth = nearest(id, () => true).slice(0, 6);
      expect(ids(list.neighbours)).toEqual(ids(truth));
      list.neighbours.forEach(({ score }, i) => expect(score).toBeCloseTo(truth[i]!.score, 5));
      expect(list).toMatchObject({ k: 6, isWhole: true, withinCategory: false, nearDuplicates: [] });
    }
    expect(await reader.lookup(artifact, 'item9999')).toBeUndefined();
  });

  it('take near-duplicates together: one of each group in a list, the own group beside it', async () => {
    // A threshold that these vectors do reach, so that there are groups to see.
    const scores = [...data.vectorOf.keys()].map((id) => nearest(id, () => true)[0]!.score).sort((a, b) => b - a);
    const gap = scores.findIndex((score, i) => i >= 40 && score - scores[i + 1]! > 1e-4);
    const threshold = (scores[gap]! + scores[gap + 1]!) / 2;
    const { artifact, summary } = await run({ ...CONFIG, nearDuplicateScore: threshold });
    expect(summary.numGroups).toBeGreaterThan(5);
    let grouped = 0;
    for (const id of data.vectorOf.keys()) {
      const list = (await reader.lookup(artifact, id)) as SimilarList;
      grouped += list.nearDuplicates.length > 0 ? 1 : 0;
      const own = new Set([id, ...list.nearDuplicates]);
      expect(list.neighbours.some((hit) => own.has(hit.id))).toBe(false);
      const groupOf = new Map<string, string[]>();
      for (const hit of list.neighbours) {
        groupOf.set(hit.id, ((await reader.lookup(artifact, hit.id)) as SimilarList).nearDuplicates);
      }
      for (const [hit, others] of groupOf) for (const other of others) expect(groupOf.has(other), hit).toBe(false);
      expect(list.nearDuplicates.length > 0).toBe(nearest(id, () => true)[0]!.score >= threshold);
    }
    expect(grouped).toBe(summary.numGrouped);
  });

  it('say of a list that near-duplicates emptied that it is not whole', async () => {
    // Everything is a near-duplicate of everything: nothing else can stand in the 22 places that were looked for.
    const { artifact, summary } = await run({ ...CONFIG, nearDuplicateScore: -1 });
    expect(summary).toMatchObject({ numGroups: 1, numGrouped: 392 });
    const list = await reader.lookup(artifact, 'item0000');
    expect(list).toMatchObject({ neighbours: [], isWhole: false });
    expect(list!.nearDuplicates).toHaveLength(100);
  });

  it('stay within the category when asked', async () => {
    const { artifact } = await run({ ...CONFIG, withinCategory: true, nearDuplicateScore: null });
    const isEven = (id: string): boolean => Number(id.slice(4)) % 2 === 0;
    for (const id of data.vectorOf.keys()) {
      const list = (await reader.lookup(artifact, id)) as SimilarList;
      expect(ids(list.neighbours)).toEqual(ids(nearest(id, (other) => isEven(other) === isEven(id)).slice(0, 6)));
    }
  });

  it('are found once: a chunk that is there is not searched again, and the whole neither', async () => {
    const config = { ...CONFIG, k: 3 };
    expect(await planSimilar(stores, index, config)).toMatchObject({ similar: null, numItems: 392 });
    const first = await findSimilarChunk({ stores, index, config, chunk: 1 });
    const onProgress = (): never => {
      throw new Error('searched again');
    };
    expect((await findSimilarChunk({ stores, index, config, chunk: 1, onProgress })).id).toBe(first.id);
    const { artifact } = await run(config);
    expect(await planSimilar(stores, index, config)).toMatchObject({ similar: artifact });
    expect((await assembleSimilar({ stores, index, config, onProgress })).id).toBe(artifact);
  });

  it('refuse a chunk that is missing, another artefact, and stop when asked', async () => {
    const config = { ...CONFIG, k: 2 };
    await expect(assembleSimilar({ stores, index, config })).rejects.toMatchObject({ code: 'notFound' });
    await expect(planSimilar(stores, data.snapshot, config)).rejects.toMatchObject({ code: 'invalidInput' });
    await expect(findSimilarChunk({ stores, index, config, chunk: 99 })).rejects.toMatchObject({
      code: 'invalidInput',
    });
    const signal = AbortSignal.abort();
    await expect(findSimilarChunk({ stores, index, config, chunk: 0, signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });

  it('of many items are found by products of matrices, the same ones, and a search for them can be stopped in the middle', async () => {
    const numItems = 6_000;
    const many = await publishData(stores, 'many', numItems, 6);
    const shards = (await buildShards(stores, many, 1)).map(({ id }) => id);
    const spec = { kind: 'exact', metric: 'cosine' } as const;
    const made = await publishIndex({ stores, ...many, model: 'model-test', spec, shards, minIndexRecall: 1 });
    const config: SimilarConfig = { ...CONFIG, k: 5, nearDuplicateScore: null, chunkItems: 2_000 };
    const controller = new AbortController();
    const stopped = findSimilarChunk({
      ...{ stores, index: made.artifact.id, config, chunk: 0 },
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });

    const { numChunks } = await planSimilar(stores, made.artifact.id, config);
    for (let chunk = 0; chunk < numChunks; chunk++) {
      await findSimilarChunk({ stores, index: made.artifact.id, config, chunk });
    }
    const similar = await assembleSimilar({ stores, index: made.artifact.id, config });
    const all = [...many.vectorOf];
    for (const [id, vector] of all.filter((_, i) => i % 500 === 0)) {
      const list = (await reader.lookup(similar.id, id)) as SimilarList;
      const scores = all.filter(([other]) => other !== id).map(([, other]) => cosine(vector, other));
      const truth = scores.sort((a, b) => b - a).slice(0, 5);
      expect(list.neighbours).toHaveLength(5);
      list.neighbours.forEach(({ score }, i) => expect(score).toBeCloseTo(truth[i]!, 5));
    }
  });

  it('are looked up in more artefacts than are kept open, whether or not one of them is there', async () => {
    const { artifact } = await run({ ...CONFIG, k: 1 });
    const id = [...data.vectorOf.keys()][0]!;
    const unhandled: unknown[] = [];
    const note = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', note);
    onTestFinished(() => void process.off('unhandledRejection', note));
    const missing = Array.from({ length: 40 }, (_, i) => `similarItems-${i.toString(16).padStart(64, '0')}`);
    const asked = await Promise.allSettled([...missing, artifact].map((one) => reader.lookup(one, id)));
    expect(asked.map(({ status }) => status)).toEqual([...missing.map(() => 'rejected'), 'fulfilled']);
    // Rejections that nobody handles are told once the promises' jobs are done.
    await new Promise((resume) => setImmediate(resume));
    expect(unhandled).toEqual([]);
  });
});
