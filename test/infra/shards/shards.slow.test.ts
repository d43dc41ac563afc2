import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { IndexSpec } from '../../../contracts/ann.ts';
import { buildShard, loadShard, publishIndex } from '../../../infra/shards/index.ts';
import { LiveShard } from '../../../infra/shards/live-shard.ts';
import { fetchShard } from '../../../infra/shards/load-shard.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { openShard } from '../../../infra/shards/shard.ts';
import { withTempFolder } from '../../../infra/shards/files.ts';
import { buildShards, openTestStores, publishData } from '../router/cluster.ts';
import type { Data } from '../router/cluster.ts';

const HNSW: IndexSpec = { kind: 'hnsw', metric: 'cosine', m: 8, efConstruction: 60, efSearch: 60, seed: 3 };
let stores: ShardStores & { close(): Promise<void> };
let data: Data;

beforeAll(async () => {
  stores = await openTestStores();
  data = await publishData(stores, 'item', 400, 5);
});
afterAll(() => stores.close());

describe('shards', () => {
  it('hold each embedded item once, ascending by id, and count the left out', async () => {
    const artifacts = await buildShards(stores, data, 3);
    const shards = await Promise.all(artifacts.map(({ id }) => loadShard(stores, id)));
    expect(shards.flatMap(({ ids }) => ids).sort()).toEqual([...data.vectorOf.keys()].sort());
    for (const { ids } of shards) expect(ids).toEqual([...ids].sort());
    const leftOut = artifacts.map(({ manifest }) => manifest.metrics.numLeftOut as number);
    expect(leftOut.reduce((x, y) => x + y)).toBe(8);
  });

  it('are the same bytes wherever they are built, and found when they exist', async () => {
    const [first] = await buildShards(stores, data, 2, HNSW);
    expect((await buildShards(stores, data, 2, HNSW))[0]!.id).toBe(first!.id);
    const elsewhere = await openTestStores();
    const again = await publishData(elsewhere, 'item', 400, 5);
    expect((await buildShards(elsewhere, again, 2, HNSW))[0]!.id).toBe(first!.id);
    await elsewhere.close();
  });

  it('make an index only when it finds enough of the true neighbours', async () => {
    const shards = (await buildShards(stores, data, 2, HNSW)).map(({ id }) => id);
    const input = { stores, ...data, model: 'model-test', spec: HNSW, shards };
    await expect(publishIndex({ ...input, minIndexRecall: 1.01 })).rejects.toMatchObject({
      code: 'gateRejected',
      message: expect.stringMatching(/at least 1\.01 of .* got [01]\.\d{4}\. Raise efSearch \(now 60\)/) as string,
    });
    const { artifact, recall } = await publishIndex({ ...input, minIndexRecall: 0.95 });
    expect(recall).toBeGreaterThanOrEqual(0.95);
    expect(artifact.manifest.inputs).toMatchObject({ shard0: shards[0], shard1: shards[1] });
    expect((await publishIndex({ ...input, minIndexRecall: 0.9 })).artifact.id).toBe(artifact.id);
    const swapped = publishIndex({ ...input, shards: [...shards].reverse(), minIndexRecall: 0 });
    await expect(swapped).rejects.toMatchObject({ code: 'conflict' });
  });

  it('stop building when asked and publish nothing', async () => {
    const controller = new AbortController();
    const spec = { ...HNSW, seed: 99 };
    const building = buildShard({
      ...{ stores, ...data, model: 'model-test', spec, shard: 0, numShards: 1 },
      signal: controller.signal,
      onProgress: () => controller.abort(),
    });
    await expect(building).rejects.toMatchObject({ code: 'cancelled' });
    const kept = await stores.artifacts.list('shard');
    expect(kept.some(({ manifest }) => manifest.seed === 99)).toBe(false);
  });

  it('score alike whichever way they are searched, so that they can be merged: codes alone do not', async () => {
    const spec: IndexSpec = {
      ...{ kind: 'deepHash', metric: 'l2', bits: 64, code: 'hyperplane', epochs: 0, rescore: 0, seed: 1 },
    };
    const shards = await Promise.all((await buildShards(stores, data, 2, spec)).map(({ id }) => loadShard(stores, id)));
    for (const shard of shards) {
      const vector = shard.vector(3);
      const byCodes = shard.search({ vector, k: 5 });
      expect(byCodes.plan).toBe('codes');
      const truth = new Map(
        shard.search({ vector, k: shard.ids.length, exact: true }).hits.map((hit) => [hit.id, hit.score]),
      );
      for (const { id, score } of byCodes.hits) expect(score).toBe(truth.get(id));
      const [batch] = await shard.searchBatch(vector, { k: 5 });
      expect([...batch!.scores]).toEqual(byCodes.hits.map(({ score }) => score));
    }
  });

  it('built before attributes were kept still answer, but not by attribute', async () => {
    const [artifact] = await buildShards(stores, data, 1);
    const files = await fetchShard(stores, artifact!.id);
    await withTempFolder(async (folder) => {
      const lines = (await readFile(files.rowsPath, 'utf8')).trimEnd().split('\n');
      const old = lines.map((line) => {
        const { id, category } = JSON.parse(line) as { id: string; category: string };
        return JSON.stringify({ id, category });
      });
      const rowsPath = `${folder}/rows.jsonl`;
      await writeFile(rowsPath, old.join('\n'));
      const shard = await openShard({ ...files, rowsPath });
      const query = { vector: shard.vector(0), k: 3 };
      expect(shard.search({ ...query, category: 'odd' }).hits).toHaveLength(3);
      expect(shard.search({ ...query, filter: {} }).hits).toHaveLength(3);
      expect(() => shard.search({ ...query, filter: { price: 1 } })).toThrow(/lookalike retrain/);
    });
  });

  it('are refused when their bytes are damaged', async () => {
    const [artifact] = await buildShards(stores, data, 1);
    const files = await fetchShard(stores, artifact!.id);
    await withTempFolder(async (folder) => {
      const bytes = await readFile(files.indexPath);
      bytes[bytes.length - 500]! ^= 1;
      const indexPath = `${folder}/index.bin`;
      await writeFile(indexPath, bytes);
      await expect(openShard({ ...files, indexPath })).rejects.toMatchObject({ code: 'corruptArtifact' });
    });
  });

  it('find in turns what an exact search finds, and pause between', async () => {
    const many = await publishData(stores, 'many', 40_000, 9);
    const [artifact] = await buildShards(stores, many, 1);
    const shard = await loadShard(stores, artifact!.id);
    const filter = { price: { gte: 5_000, lt: 39_000 } };
    for (const options of [{}, { category: 'odd' }, { category: 'even', filter }]) {
      let pauses = 0;
      const query = { vector: shard.vector(7), k: 25, ...options };
      const found = await new LiveShard(shard).searchInTurns(query, async () => void pauses++);
      expect(found).toEqual(shard.search({ ...query, exact: true }).hits);
      expect(pauses).toBe(2);
    }
    const stop = new LiveShard(shard).searchInTurns({ vector: shard.vector(7), k: 1 }, () =>
      Promise.reject(new Error('enough')),
    );
    await expect(stop).rejects.toThrow('enough');
  });
});
