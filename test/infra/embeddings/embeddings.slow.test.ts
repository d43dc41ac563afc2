import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Artifact } from '../../../contracts/artifacts.ts';
import type { ModelSummary } from '../../../contracts/model.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import { applyHead } from '../../../infra/embeddings/apply-head.ts';
import { assembleEmbeddings } from '../../../infra/embeddings/assemble-embeddings.ts';
import { embedChunk } from '../../../infra/embeddings/embed-chunk.ts';
import { CHUNK_SIZE, planEmbedding } from '../../../infra/embeddings/plan-embedding.ts';
import { openEmbeddings } from '../../../infra/embeddings/read-embeddings.ts';
import type { Embedder } from '../../../infra/inference/embedder.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import { openStores } from '../../../infra/stores.ts';
import type { Stores } from '../../../infra/stores.ts';

const MODEL = 'model-00000000000000000000000000000001';
const signal = new AbortController().signal;
const DIM = 4;

/** A stand-in for the model runtime: values from the bytes, so that any mix-up of rows shows. Pictures named bad are refused. */
const embedder: Embedder = {
  embed: async (_model, images, { views = 1 }) =>
    images.map((bytes) => {
      const text = Buffer.from(bytes).toString();
      if (text.startsWith('bad')) return { rejected: `Expected a picture, got "${text}".` };
      const vectors = Array.from({ length: views }, (_, view) => vectorOf(text, view));
      return { vectors, timingsMs: { queue: 0, decode: 0, infer: 0 } };
    }),
  applyHead: async (_model, features, numRows) => {
    expect(features).toHaveLength(numRows * DIM);
    return features.map((value) => value * 2);
  },
  modelSummary: async () => ({ stage: 'backbone', dim: DIM, featureDim: DIM }) as ModelSummary,
  close: async () => undefined,
};

function vectorOf(text: string, view: number): Float32Array {
  const digest = createHash('sha256').update(`${text}/${view}`).digest();
  return Float32Array.from({ length: DIM }, (_, i) => digest[i]! / 255);
}

let folders: string[];

async function installation(): Promise<Stores> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-test-'));
  folders.push(folder);
  return openStores(loadConfig({ LOOKALIKE_DATA_DIR: folder }));
}

/** A catalogue of `n` items; every tenth picture is unusable. */
async function snapshotOf(stores: Stores, n: number, catalogue = 'shop', name = 'picture'): Promise<string> {
  const items = await Promise.all(
    Array.from({ length: n }, async (_, i) => ({
      id: `item-${i}`,
      image: await stores.blobs.put(Buffer.from(i % 10 === 9 ? `bad ${i}` : `${name} ${i}`)),
      category: null,
      label: null,
      title: null,
      attributes: {},
    })),
  );
  await stores.registry.catalogue.upsertItems(catalogue, items);
  return (await createSnapshot(stores, catalogue)).id;
}

async function embed(stores: Stores, snapshot: string, views = 1): Promise<{ made: Artifact; embedded: number }> {
  const plan = await planEmbedding(stores, { snapshot, model: MODEL, views });
  let embedded = 0;
  for (let chunk = 0; chunk < plan.numChunks; chunk++) {
    const done = await embedChunk({ stores, embedder, plan: plan.plan, chunk, model: MODEL, views, signal });
    embedded += Number(done.manifest.summary.numImages);
  }
  return { made: await assembleEmbeddings({ stores, plan: plan.plan, model: MODEL, views, signal }), embedded };
}

beforeEach(() => {
  folders = [];
});
afterEach(async () => {
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true })));
});

describe('embeddings of a catalogue', () => {
  it('hold each usable picture once, under its own row, and say why others are missing', async () => {
    const stores = await installation();
    const snapshot = await snapshotOf(stores, 150);
    const { made } = await embed(stores, snapshot, 2);
    await using stored = await openEmbeddings(stores, made.id);
    expect(stored.images).toHaveLength(135);
    expect(stored.images).toEqual(stored.images.toSorted());
    expect(stored.rejected).toHaveLength(15);
    for (const row of [0, 63, 64, 134]) {
      const text = (await stores.blobs.get(stored.images[row]!)).toString();
      const expected = [...vectorOf(text, 0), ...vectorOf(text, 1)];
      expect([...(await stored.read(row, 1))]).toEqual(expected);
    }
    await stores.close();
  });

  it('are the same bytes whether made at once or extended, and extending embeds only what is new', async () => {
    const [once, twice] = await Promise.all([installation(), installation()]);
    const full = await embed(once, await snapshotOf(once, 170));
    const first = await embed(twice, await snapshotOf(twice, 100));
    const extended = await embed(twice, await snapshotOf(twice, 170));
    expect(first.embedded).toBe(90);
    expect(extended.embedded).toBe(63);
    expect(extended.made.id).toBe(full.made.id);
    await Promise.all([once.close(), twice.close()]);
  });

  it('are extended from the artefact that covers most, whatever other catalogues were embedded since', async () => {
    const stores = await installation();
    await embed(stores, await snapshotOf(stores, 40, 'shop', 'shoe'));
    await embed(stores, await snapshotOf(stores, 60, 'emoji', 'smile'));
    await embed(stores, await snapshotOf(stores, 5, 'shop', 'bag'), 2);
    const { embedded } = await embed(stores, await snapshotOf(stores, 45, 'shop', 'shoe'));
    expect(embedded).toBe(5);
    await stores.close();
  });

  it('of more views give those of fewer, in the same bytes as made from nothing', async () => {
    const [rich, plain] = await Promise.all([installation(), installation()]);
    const snapshot = await snapshotOf(rich, 30);
    await embed(rich, snapshot, 3);
    const { made, embedded } = await embed(rich, snapshot, 2);
    expect(embedded).toBe(0);
    expect(made.id).toBe((await embed(plain, await snapshotOf(plain, 30), 2)).made.id);
    await Promise.all([rich.close(), plain.close()]);
  });

  it('are found when the pictures did not change, even if the items did', async () => {
    const stores = await installation();
    const { made } = await embed(stores, await snapshotOf(stores, 30));
    const items = await stores.registry.catalogue.listItems('shop', { limit: 30 });
    await stores.registry.catalogue.upsertItems(
      'shop',
      items.map((item) => ({ ...item, title: 'renamed' })),
    );
    const snapshot = (await createSnapshot(stores, 'shop')).id;
    const plan = await planEmbedding(stores, { snapshot, model: MODEL, views: 1 });
    expect(plan).toMatchObject({ embeddings: made.id, numChunks: 0, numReused: 27, numRejected: 3 });
    await stores.close();
  });

  it('drop the vectors of pictures that left the catalogue', async () => {
    const stores = await installation();
    const before = await embed(stores, await snapshotOf(stores, 40));
    await stores.registry.catalogue.deleteItems('shop', ['item-0', 'item-1', 'item-9']);
    const after = await embed(stores, (await createSnapshot(stores, 'shop')).id);
    expect(after.embedded).toBe(0);
    expect(after.made.id).not.toBe(before.made.id);
    expect(after.made.manifest.summary).toMatchObject({ numImages: 34, numRejected: 3 });
    await stores.close();
  });

  it('come through a head from view 0 of its cached features', async () => {
    const stores = await installation();
    const snapshot = await snapshotOf(stores, CHUNK_SIZE + 10);
    const { made: features } = await embed(stores, snapshot, 3);
    const head = 'model-00000000000000000000000000000002';
    const made = await applyHead({ stores, embedder, snapshot, features: features.id, model: head, signal });
    await using stored = await openEmbeddings(stores, made.id);
    for (const [row, image] of stored.images.entries()) {
      const text = (await stores.blobs.get(image)).toString();
      expect([...(await stored.read(row, 1))]).toEqual([...vectorOf(text, 0)].map((value) => value * 2));
    }
    expect(stored.rejected).toHaveLength(7);
    await stores.close();
  });

  it('refuse features that lack pictures of the snapshot', async () => {
    const stores = await installation();
    const { made: features } = await embed(stores, await snapshotOf(stores, 10));
    const snapshot = await snapshotOf(stores, 12);
    const run = applyHead({ stores, embedder, snapshot, features: features.id, model: MODEL, signal });
    await expect(run).rejects.toMatchObject({ code: 'invalidInput' });
    await stores.close();
  });

  it('cannot be assembled while a chunk is missing', async () => {
    const stores = await installation();
    const snapshot = await snapshotOf(stores, 80);
    const { plan } = await planEmbedding(stores, { snapshot, model: MODEL, views: 1 });
    await embedChunk({ stores, embedder, plan, chunk: 0, model: MODEL, views: 1, signal });
    const run = assembleEmbeddings({ stores, plan, model: MODEL, views: 1, signal });
    await expect(run).rejects.toThrow(/Expected chunk 1 to be embedded/);
    expect((await stores.artifacts.list('embeddings')).length).toBe(0);
    const chunks = await stores.artifacts.list('embeddingChunk');
    const vectors = await readFile(await stores.artifacts.materialise(chunks[0]!.id, 'vectors.f32'));
    expect(vectors.byteLength).toBe(Number(chunks[0]!.manifest.summary.numImages) * DIM * 4);
    await stores.close();
  });
});
