import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createBuildActivities } from '../../activities/build.ts';
import { createCatalogueActivities } from '../../activities/catalogue.ts';
import type { CatalogueDeps } from '../../activities/catalogue.ts';
import { createEmbedActivities } from '../../activities/embed.ts';
import { createTrainActivities } from '../../activities/train.ts';
import { loadConfig } from '../../infra/config/env.ts';
import { evaluateOnSnapshot } from '../../infra/evaluation/evaluate-on-snapshot.ts';
import { importCatalogue } from '../../infra/import/import-catalogue.ts';
import { createEmbedder } from '../../infra/inference/embedder.ts';
import { loadShard } from '../../infra/shards/index.ts';
import { openStores } from '../../infra/stores.ts';
import { runTraining } from '../../infra/training/run-training.ts';
import { judge } from '../../workflows/policy/gate.ts';
import { temporaryFolder } from '../infra/artifacts/temporary-folder.ts';
import { publishSmallBackbone } from '../infra/models/small-backbone.ts';
import { CODES, TRAIN, emojiPath } from '../infra/training/workshop.ts';
import { plainTf } from '../lib/export/tfjs.ts';

const CATALOGUE = 'photos';
const spec = { kind: 'exact', metric: 'cosine' } as const;
const gate = { maxRecallDrop: 0, minIndexRecall: 1 };

/** Real stores, pictures, embedder and trainer; the steps of a retraining run one after the other, as its workflow takes them. */
async function openInstallation() {
  const folder = temporaryFolder();
  const config = loadConfig({
    LOOKALIKE_DATA_DIR: folder,
    LOOKALIKE_BACKEND: 'cpu',
    LOOKALIKE_EMBED_THREADS: '1',
    LOOKALIKE_EXECUTION_PROVIDER: 'cpu',
    LOOKALIKE_LOG_LEVEL: 'silent',
  });
  const stores = await openStores(config);
  const embedder = createEmbedder({ config, stores });
  onTestFinished(async () => {
    await embedder.close();
    await stores.close();
  });
  const { id: backbone } = await publishSmallBackbone(await plainTf(), folder, stores);
  const activities = {
    ...createCatalogueActivities({ stores, client: {} as CatalogueDeps['client'] }),
    ...createTrainActivities({
      ...{ config, stores, train: runTraining },
      finetune: () => Promise.reject(new Error('Expected no fine-tuning.')),
    }),
    ...createBuildActivities({ stores }),
    ...createEmbedActivities({ stores, embedder, evaluate: evaluateOnSnapshot }),
  };
  const run = <T>(activity: () => Promise<T>): Promise<T> => new MockActivityEnvironment().run(activity);

  async function retrain() {
    const snapshot = await run(() => activities.takeSnapshot({ catalogue: CATALOGUE }));
    const { artifact: pretrained } = await run(() => activities.ensurePretrained({ backbone }));
    const about = { snapshot: snapshot.artifact, model: backbone, views: 1 };
    const plan = await run(() => activities.planEmbedding(about));
    for (let chunk = 0; chunk < plan.numChunks; chunk++) {
      await run(() => activities.embedChunk({ ...about, plan: plan.plan, chunk }));
    }
    const { artifact: features } = await run(() => activities.assembleEmbeddings({ ...about, plan: plan.plan }));
    const input = { catalogue: CATALOGUE, snapshot: snapshot.artifact, features, backbone, config: TRAIN };
    const trained = await run(() => activities.trainHead(input));
    const { model } = trained;
    const read = { snapshot: snapshot.artifact, features };
    const candidate = await run(() => activities.evaluateModel({ ...read, model }));
    const untrained = await run(() => activities.evaluateModel({ ...read, model: pretrained }));
    const verdict = judge({
      ...{ candidate: candidate.quality, pretrained: untrained.quality, serving: null },
      ...{ replacesTrained: false, comparison: null, gate, force: false },
    });
    const { artifact: embeddings } = await run(() => activities.applyHead({ ...read, model }));
    const made = { snapshot: snapshot.artifact, embeddings, model, spec };
    const shard = await run(() => activities.buildShard({ ...made, shard: 0, numShards: 1 }));
    const index = await run(() => activities.publishIndex({ ...made, shards: [shard.artifact], minIndexRecall: 1 }));
    return { snapshot, pretrained, plan, trained, candidate, verdict, shard, index };
  }

  async function search(path: string, model: string, shard: string) {
    const [result] = await embedder.embed(model, [readFileSync(path)], { priority: 'online' });
    if (result === undefined || 'rejected' in result) throw new Error(`Expected a vector of ${path}.`);
    return (await loadShard(stores, shard)).search({ vector: result.vectors[0]!, k: 3 }).hits;
  }

  const take = (source: string) => importCatalogue({ source, catalogue: CATALOGUE, as: 'items', stores, config });
  return { folder, stores, retrain, search, take };
}

const files = (['google', 'twitter'] as const).flatMap((vendor) =>
  CODES.map((code) => ({ code, name: `${vendor}-${code}.png`, path: emojiPath(vendor, code) })),
);

describe('a flat folder of pictures, without a label', () => {
  it('is served with the untrained model, which says why, and trains once labels are there', async () => {
    const { folder, retrain, search, take } = await openInstallation();
    const pictures = join(folder, 'pictures');
    mkdirSync(pictures);
    for (const { name, path } of files) copyFileSync(path, join(pictures, name));
    expect(await take(pictures)).toMatchObject({ added: 24, rejected: [] });

    const first = await retrain();
    const why =
      'Learning needs items with readable pictures of at least 2 labels, got 0. Give items a category or a label.';
    expect(first.snapshot).toMatchObject({ reused: false, numItems: 24, untrained: why });
    expect(first.trained).toEqual({ model: first.pretrained, reused: true, metrics: {}, untrained: why });
    expect(first.candidate.quality).toEqual({ numQueries: 0, numCatalogue: 0, recall: {}, mAP: null });
    expect(first.verdict).toMatchObject({ accepted: true, reasons: [expect.stringContaining('Not judged')] });
    for (const { name, path } of files) {
      const [best] = await search(path, first.trained.model, first.shard.artifact);
      expect(best!.id).toBe(name);
      expect(best!.score).toBeCloseTo(1, 5);
    }

    const second = await retrain();
    expect(second.snapshot.artifact).toBe(first.snapshot.artifact);
    expect(second.plan).toMatchObject({ numChunks: 0, numReused: 24 });
    expect(second.trained).toEqual(first.trained);
    expect(second.candidate).toEqual({ ...first.candidate, reused: true });
    expect(second.index).toEqual({ ...first.index, reused: true });

    const labelled = join(folder, 'labelled.jsonl');
    const rows = files.map(({ code, name, path }) => ({ id: name, image: path, label: code }));
    writeFileSync(labelled, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    expect(await take(labelled)).toMatchObject({ changed: 24 });
    const third = await retrain();
    expect(third.snapshot).not.toHaveProperty('untrained');
    expect(third.plan.numChunks).toBe(0);
    expect(third.trained).not.toHaveProperty('untrained');
    expect(third.trained.model).not.toBe(first.pretrained);
    expect(third.candidate.quality.numQueries).toBeGreaterThan(0);
  });

  it('is served even if it is a single picture', async () => {
    const { folder, retrain, search, take } = await openInstallation();
    const pictures = join(folder, 'pictures');
    mkdirSync(pictures);
    const [{ path, name }] = files as [(typeof files)[number]];
    copyFileSync(path, join(pictures, name));
    expect(await take(pictures)).toMatchObject({ added: 1 });
    const { trained, shard, index } = await retrain();
    expect(index.recall).toBe(1);
    expect(await search(path, trained.model, shard.artifact)).toMatchObject([{ id: name }]);
  });
});

describe('a catalogue of which no picture can be read any more', () => {
  it('fails when it would be trained, with the reason of one of them', async () => {
    const { stores, retrain } = await openInstallation();
    const image = await stores.blobs.put(Buffer.from('no picture'));
    const item = { image, category: null, label: null, title: null, attributes: {} };
    await stores.registry.catalogue.upsertItems(CATALOGUE, [
      { id: 'a', ...item },
      { id: 'b', ...item },
    ]);
    const failure: unknown = await retrain().catch((error: unknown) => error);
    expect(failure).toMatchObject({ type: 'invalidInput', nonRetryable: true });
    expect((failure as Error).message).toMatch(/none of 2 can \(for example: .+\)\. Import items with pictures/);
  });
});
