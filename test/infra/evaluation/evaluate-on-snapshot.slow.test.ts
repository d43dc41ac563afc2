import { readFileSync } from 'node:fs';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { QueryOutcome } from '../../../contracts/evaluation.ts';
import { compareModels } from '../../../infra/evaluation/compare-models.ts';
import { evaluateOnSnapshot } from '../../../infra/evaluation/evaluate-on-snapshot.ts';
import { createEmbedder } from '../../../infra/inference/embedder.ts';
import { ensurePretrained, publishHeadModel } from '../../../infra/models/publish-head-model.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import type { Stores } from '../../../infra/stores.ts';
import { plainTf } from '../../lib/export/tfjs.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { SMALL_FEATURES, emoji } from '../models/small-backbone.ts';
import { TRAIN, openWorkshop } from '../training/workshop.ts';

async function open() {
  const { config, stores, input } = await openWorkshop(temporaryFolder(), TRAIN, 'cpu');
  const embedder = createEmbedder({ config: { ...config, embedThreads: 1, executionProvider: 'cpu' }, stores });
  onTestFinished(async () => {
    await embedder.close();
    await stores.close();
  });
  const { snapshot, features, backbone } = input;
  const model = (await ensurePretrained(stores, backbone)).id;
  return { stores, embedder, input, ask: { stores, embedder, snapshot, features, model } };
}

async function outcomesOf(stores: Stores, id: string): Promise<QueryOutcome[]> {
  const lines = readFileSync(await stores.artifacts.materialise(id, 'queries.jsonl'), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as QueryOutcome);
}

describe('evaluating a model on a snapshot', () => {
  it('asks the holdout against the items, and finds its own result the second time', async () => {
    const { stores, ask } = await open();
    const first = await evaluateOnSnapshot(ask);
    expect(first.reused).toBe(false);
    expect(first.artifact.manifest).toMatchObject({
      kind: 'evaluation',
      inputs: { snapshot: ask.snapshot, features: ask.features, model: ask.model },
      metrics: { numQueries: 12, numCatalogue: 12 },
    });
    // The pictures of a label lie around one point, far from the others'.
    const { recall } = first.artifact.manifest.metrics as { recall: Record<string, number> };
    expect(recall['1']).toBeGreaterThan(0.8);
    const outcomes = await outcomesOf(stores, first.artifact.id);
    expect(outcomes.filter(({ rank }) => rank === 1).length / 12).toBeCloseTo(recall['1']!, 12);
    const items = await stores.registry.catalogue.listItems('emoji', { limit: 100 });
    for (const { label, category } of outcomes) {
      expect(category).toBe(items.find((item) => (item.label ?? item.category) === label)!.category);
    }
    const second = await evaluateOnSnapshot(ask);
    expect(second).toEqual({ artifact: first.artifact, reused: true });
    expect(await stores.artifacts.list('evaluation')).toHaveLength(1);
  });

  it('leaves the process free while it searches, so that a cancel ends it and publishes nothing', async () => {
    const { stores, embedder, ask } = await open();
    const abort = new AbortController();
    let calls = 0;
    const watched: typeof ask.embedder = {
      ...embedder,
      async applyHead(...args) {
        const vectors = await embedder.applyHead(...args);
        // Queries, then catalogue: what is left is the search, and an event can only get its turn beside it.
        if (++calls === 2) setImmediate(() => abort.abort());
        return vectors;
      },
    };
    const evaluation = evaluateOnSnapshot({ ...ask, embedder: watched, signal: abort.signal });
    await expect(evaluation).rejects.toMatchObject({ code: 'cancelled' });
    expect(await stores.artifacts.list('evaluation')).toEqual([]);
  });

  it('measures what the head makes of the features', async () => {
    const { stores, ask, input } = await open();
    const blind = await publishHeadModel({
      stores,
      tf: await plainTf(),
      backbone: await stores.artifacts.get(input.backbone),
      // One direction for all: every picture looks like every other, and the first item is always the answer.
      kernel: new Float32Array(SMALL_FEATURES * 2),
      bias: Float32Array.of(1, 0),
      derivation: { inputs: { backbone: input.backbone }, config: { test: 'blind' }, seed: null },
      metrics: {},
      name: 'blind',
      checkImages: await emoji('1f34e'),
    });
    const { artifact } = await evaluateOnSnapshot({ ...ask, model: blind.id });
    expect(artifact.manifest.metrics['recall']).toMatchObject({ 1: 1 / 12, 5: 5 / 12, 10: 10 / 12 });
    const ranks = (await outcomesOf(stores, artifact.id)).map(({ rank }) => rank);
    expect(ranks.toSorted((a, b) => a! - b!)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);

    // The gate's comparison, from the two artefacts alone.
    const { artifact: seeing } = await evaluateOnSnapshot(ask);
    const compared = { candidate: artifact.id, pretrained: seeing.id, serving: null, categoryQueries: 1 };
    const made = await compareModels(stores.artifacts, compared);
    const right = (await outcomesOf(stores, seeing.id)).filter(({ rank }) => rank === 1).length;
    expect(made).toMatchObject({ reused: false, evaluationSet: seeing.manifest.summary['set'], serving: null });
    expect(made.pretrained.candidate).toBeCloseTo(1 / 12, 12);
    expect(made.pretrained.lost - made.pretrained.won).toBe(right - 1);
    expect(await compareModels(stores.artifacts, compared)).toEqual({ ...made, reused: true });
  });

  it('judges a model that learnt from the queries by the one that did not', async () => {
    const { stores, ask, input } = await open();
    const judged = await evaluateOnSnapshot(ask);
    const whole = await publishHeadModel({
      stores,
      tf: await plainTf(),
      backbone: await stores.artifacts.get(input.backbone),
      kernel: new Float32Array(SMALL_FEATURES * 2),
      bias: Float32Array.of(1, 0),
      derivation: { inputs: { backbone: input.backbone, judged: ask.model }, config: {}, seed: null },
      metrics: {},
      name: 'whole',
      checkImages: await emoji('1f34e'),
    });
    const evaluated = await evaluateOnSnapshot({ ...ask, model: whole.id });
    expect(evaluated).toEqual({ artifact: judged.artifact, reused: true });
  });

  it('refuses features of another length', async () => {
    const { stores, ask } = await open();
    const narrow = await stores.artifacts.publish({
      ...{ kind: 'embeddings', inputs: {}, config: {}, seed: null, metrics: {} },
      summary: { numImages: 1, numRejected: 0, views: 1, dim: 2, normalised: false },
      files: {
        'vectors.f32': { bytes: new Uint8Array(8) },
        'images.txt': { bytes: Buffer.from('a\n') },
        'rejected.jsonl': { bytes: new Uint8Array(0) },
      },
    });
    await expect(evaluateOnSnapshot({ ...ask, features: narrow.id })).rejects.toThrow(
      `Expected features of ${SMALL_FEATURES} values for ${ask.model}, got 2.`,
    );
    expect(await stores.artifacts.list('evaluation')).toEqual([]);
  });

  it.each([
    ['each label has one picture', (id: string) => id],
    ['all have one label', () => 'emoji'],
    ['none has a label', () => null],
  ])('asks nothing where %s, and runs no model', async (_, labelOf) => {
    const { stores, embedder, ask } = await open();
    const { catalogue } = stores.registry;
    const items = (await catalogue.listItems('emoji', { limit: 100 })).map((item) => ({
      ...{ ...item, label: labelOf(item.id) },
    }));
    await catalogue.upsertItems('unjudged', items);
    const { id: snapshot } = await createSnapshot(stores, 'unjudged');
    const applyHead = () => expect.unreachable('nothing is asked');
    const { artifact } = await evaluateOnSnapshot({ ...ask, snapshot, embedder: { ...embedder, applyHead } });
    expect(artifact.manifest.metrics).toMatchObject({ numQueries: 0, recall: {}, mAP: null });
    expect(await evaluateOnSnapshot({ ...ask, snapshot })).toEqual({ artifact, reused: true });
  });
});
