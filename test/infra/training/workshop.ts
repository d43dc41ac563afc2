import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { execFileSync } from 'node:child_process';
import { loadConfig } from '../../../infra/config/env.ts';
import type { Config } from '../../../infra/config/env.ts';
import { listHash } from '../../../infra/embeddings/image-list.ts';
import { embeddingsDerivation, publishEmbeddings } from '../../../infra/embeddings/publish-embeddings.ts';
import { createSnapshot } from '../../../infra/snapshot/create-snapshot.ts';
import { openStores } from '../../../infra/stores.ts';
import type { Stores } from '../../../infra/stores.ts';
import type { TrainConfig } from '../../../contracts/training.ts';
import type { TrainInput } from '../../../contracts/workflows.ts';
import { randomOf } from '../../../lib/train/random.ts';
import { plainTf } from '../../lib/export/tfjs.ts';
import { SMALL_FEATURES, publishSmallBackbone } from '../models/small-backbone.ts';

/** Emoji that both vendors draw. */
export const CODES = [
  '1f34e',
  '1f600',
  '1f697',
  '1f436',
  '1f355',
  '1f431',
  '1f680',
  '1f33b',
  '1f3b8',
  '1f419',
  '1f352',
  '1f98a',
];
const VENDORS = ['google', 'twitter'] as const;

/** A real picture of an emoji by its path. */
export function emojiPath(vendor: (typeof VENDORS)[number], code: string): string {
  return createRequire(import.meta.url).resolve(`emoji-datasource-${vendor}/img/${vendor}/64/${code}.png`);
}

export const TRAIN: TrainConfig = {
  strategy: 'single',
  dim: 4,
  loss: { kind: 'proxySoftmax', scale: 16, margin: 0.1 },
  optimizer: { kind: 'adam', learningRate: 0.01, weightDecay: 0.1, momentum: 0.9 },
  schedule: { warmupEpochs: 1 },
  epochs: 3,
  labelsPerBatch: 4,
  samplesPerLabel: 2,
  featureDropout: 0.2,
  patience: 0,
  checkpointEverySteps: 100,
  seed: 5,
};

export interface Workshop {
  config: Config;
  stores: Stores;
  input: TrainInput;
}

/**
 * Real stores in a folder with all that a run needs: emoji of two vendors as items and holdout examples, a tiny backbone, and
 * features that scatter around one point per emoji. Equal in every folder. Without `holdout`, all emoji are items.
 */
export async function openWorkshop(
  folder: string,
  train: TrainConfig,
  backend: string,
  holdout = true,
): Promise<Workshop> {
  const { LOOKALIKE_CACHE_DIR } = process.env;
  const config = loadConfig({
    LOOKALIKE_DATA_DIR: folder,
    LOOKALIKE_BACKEND: backend,
    LOOKALIKE_LOG_LEVEL: 'silent',
    ...(LOOKALIKE_CACHE_DIR !== undefined && { LOOKALIKE_CACHE_DIR }),
  });
  const stores = await openStores(config);
  const catalogue = 'emoji';
  const shown = await Promise.all(
    VENDORS.flatMap((vendor) =>
      CODES.map(async (label) => {
        const image = await stores.blobs.put(await readFile(emojiPath(vendor, label)));
        return { vendor, label, image, id: `${vendor}-${label}` };
      }),
    ),
  );
  const items = shown.filter(({ vendor }) => !holdout || vendor === 'google');
  const asked = shown.filter((picture) => !items.includes(picture));
  await stores.registry.catalogue.upsertItems(
    catalogue,
    items.map(({ id, image, label }) => ({ id, image, label, category: null, title: null, attributes: {} })),
  );
  await stores.registry.catalogue.upsertExamples(
    catalogue,
    asked.map(({ id, image, label }) => ({ id, image, label, split: 'holdout' })),
  );
  const backbone = await publishSmallBackbone(await plainTf(), folder, stores);
  const images = shown.map(({ image }) => image).sort();
  const centre = new Map(shown.map(({ image, label }) => [image, label]));
  const features = await publishEmbeddings(stores, {
    derivation: embeddingsDerivation('embeddings', { model: backbone.id, views: 1, images: listHash(images) }),
    views: 1,
    dim: SMALL_FEATURES,
    normalised: false,
    images,
    rejected: [],
    vectors: images.map((image) => scattered(centre.get(image)!, image)),
  });
  const { id: snapshot } = await createSnapshot(stores, catalogue);
  return {
    config,
    stores,
    input: { catalogue, snapshot, features: features.id, backbone: backbone.id, config: train },
  };
}

function scattered(centre: string, image: string): Float32Array {
  const [around, off] = [randomOf('centre', centre), randomOf('image', image)];
  return Float32Array.from({ length: SMALL_FEATURES }, () => around() + 0.3 * off());
}

/** Living processes of `parent` that run this entry, by the operating system's own list. */
export function trainersOf(parent: number, entry = 'train-process'): number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' }).split('\n');
  return lines.flatMap((line) => {
    const [pid, ppid, stat] = line.trim().split(/\s+/);
    const isTrainer = Number(ppid) === parent && line.includes(entry) && !stat!.startsWith('Z');
    return isTrainer ? [Number(pid)] : [];
  });
}

export function isAlive(pid: number): boolean {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,stat='], { encoding: 'utf8' }).split('\n');
  return lines.some((line) => {
    const [found, stat] = line.trim().split(/\s+/);
    return Number(found) === pid && !stat!.startsWith('Z');
  });
}
