import { readFile } from 'node:fs/promises';
import type { FinetuneConfig, FinetuneInput } from '../../../contracts/finetune.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import type { Config } from '../../../infra/config/env.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import { openStores } from '../../../infra/stores.ts';
import type { Stores } from '../../../infra/stores.ts';
import { encodeModel } from '../../../lib/export/onnx-proto.ts';
import { FEATURE_DIM } from '../../../lib/nn/efficientnet-lite0.ts';
import { plainTf } from '../../lib/export/tfjs.ts';
import { softBackbone } from '../../lib/finetune/soft-backbone.ts';
import { CODES, emojiPath } from '../training/workshop.ts';

const SIZE = 64;

/** Learns the last convolution alone: seconds on any backend. */
export const FINETUNE: FinetuneConfig = {
  blocks: 0,
  size: SIZE,
  outputSize: SIZE,
  views: 2,
  dim: 8,
  loss: { kind: 'proxySoftmax', scale: 8, margin: 0.1 },
  learningRate: 0.01,
  headLearningRate: 0.02,
  layerDecay: 0.8,
  weightDecay: 0.1,
  warmupEpochs: 1,
  epochs: 4,
  labelsPerBatch: 4,
  samplesPerLabel: 1,
  dropout: 0.1,
  averaging: 0.9,
  keep: 0,
  checkpointEverySteps: 3,
  seed: 2,
};

export interface FinetuneWorkshop {
  config: Config;
  stores: Stores;
  input: FinetuneInput;
  /** Labels of the items, and the pictures that no training may see. */
  holdout: string[];
}

/** Real stores in a folder: emoji of two vendors as items, those of a third of the labels as holdout examples, a backbone of the real shape. */
export async function openFinetuneWorkshop(
  folder: string,
  finetune: FinetuneConfig,
  { backend = 'cpu', holdout: hasHoldout = true }: { backend?: string; holdout?: boolean } = {},
): Promise<FinetuneWorkshop> {
  const { LOOKALIKE_CACHE_DIR } = process.env;
  const config = loadConfig({
    LOOKALIKE_DATA_DIR: folder,
    LOOKALIKE_BACKEND: backend,
    LOOKALIKE_LOG_LEVEL: 'silent',
    LOOKALIKE_EMBED_THREADS: '1',
    ...(LOOKALIKE_CACHE_DIR !== undefined && { LOOKALIKE_CACHE_DIR }),
  });
  const stores = await openStores(config);
  const catalogue = 'emoji';
  const put = async (vendor: 'google' | 'twitter', label: string) => {
    const image = await stores.blobs.put(await readFile(emojiPath(vendor, label)));
    return { id: `${vendor}-${label}`, image, label, category: null, title: null, attributes: {} };
  };
  const items = await Promise.all(CODES.map((code) => put('google', code)));
  const others = await Promise.all(CODES.map((code) => put('twitter', code)));
  await stores.registry.catalogue.upsertItems(catalogue, hasHoldout ? items : [...items, ...others]);
  if (hasHoldout) {
    await stores.registry.catalogue.upsertExamples(
      catalogue,
      others.map(({ id, image, label }) => ({ id, image, label, split: 'holdout' as const })),
    );
  }
  const { id: snapshot } = await createSnapshot(stores, catalogue);
  const graph = encodeModel(softBackbone(await plainTf(), SIZE));
  const channels = { mean: [127, 127, 127], std: [128, 128, 128], background: [255, 255, 255] };
  const backbone = await stores.artifacts.publish({
    kind: 'model',
    inputs: {},
    config: { stage: 'backbone', name: 'soft' },
    seed: null,
    summary: {
      ...{ stage: 'backbone', name: 'soft', dim: FEATURE_DIM, featureDim: FEATURE_DIM, backbone: null },
      preprocessing: { resizeShorterSide: 72, size: SIZE, ...channels },
    },
    metrics: {},
    files: { 'backbone.onnx': { bytes: graph } },
  });
  const input = { catalogue, snapshot, backbone: backbone.id, config: finetune };
  return { config, stores, input, holdout: others.map(({ image }) => image) };
}
