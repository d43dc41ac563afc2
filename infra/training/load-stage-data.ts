import type { TrainInput } from '../../contracts/workflows.ts';
import type { LabelledViews } from '../../lib/train/batch-plan.ts';
import type { TrainingData } from '../../lib/train/head-program.ts';
import type { Split } from '../../lib/train/split.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { Backend, TensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import type { Stores } from '../stores.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import { loadCachedFeatures } from './cached-features.ts';
import { labelsOf, readableOf, trainingDataOf } from './training-data.ts';

interface Place {
  config: Config;
  logger: Logger;
}

/** What a process computes a stage with. */
export interface StageData {
  tf: TensorFlow;
  backend: Backend;
  data: TrainingData;
}

export async function loadStageData(
  { config, stores, logger }: Place & { stores: Stores },
  { features }: TrainInput,
  split: Split,
): Promise<StageData> {
  const { tf, backend } = await loadBackend({ config, logger });
  const cached = await loadCachedFeatures(stores.artifacts, features);
  return { tf, backend, data: trainingDataOf(readableOf(split, cached.rowOf), cached) };
}

export async function loadBackend({ config, logger }: Place): Promise<Pick<StageData, 'tf' | 'backend'>> {
  const { tf, backend, tried } = await loadTensorFlow(config);
  logger.info({ backend, tried }, 'training backend');
  return { tf, backend };
}

/** What batches are drawn from, for a process that never sees a feature. */
export async function loadLabels(
  stores: Stores,
  { features }: TrainInput,
  split: Split,
): Promise<LabelledViews & { featureDim: number }> {
  await using opened = await openEmbeddings(stores, features);
  const { dim, views, images } = opened;
  const { train } = readableOf(split, new Set(images));
  return { ...labelsOf(train), views, featureDim: dim };
}
