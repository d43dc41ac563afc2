import type { TrainInput } from '../../contracts/workflows.ts';
import type { TrainingData } from '../../lib/train/head-program.ts';
import type { Split } from '../../lib/train/split.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { Backend, TensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import type { Stores } from '../stores.ts';
import { loadCachedFeatures } from './cached-features.ts';
import { readableOf, trainingDataOf } from './training-data.ts';

/** What a process computes a stage with. */
export interface StageData {
  tf: TensorFlow;
  backend: Backend;
  data: TrainingData;
}

export async function loadStageData(
  { config, stores, logger }: { config: Config; stores: Stores; logger: Logger },
  { features }: TrainInput,
  split: Split,
): Promise<StageData> {
  const { tf, backend, tried } = await loadTensorFlow(config);
  logger.info({ backend, tried }, 'training backend');
  const cached = await loadCachedFeatures(stores.artifacts, features);
  return { tf, backend, data: trainingDataOf(readableOf(split, cached.rowOf), cached) };
}
