import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { TrainConfig } from '../../../contracts/training.ts';
import type { TrainingData } from '../../../lib/train/head-program.ts';
import { BatchPlan } from '../../../lib/train/batch-plan.ts';
import type { Config } from '../../config/env.ts';
import { hardware } from '../hardware.ts';
import type { Hardware } from '../hardware.ts';
import { measureGang } from './gang.ts';
import type { LearningCurve } from './gang.ts';
import type { StepFigures } from './step-figures.ts';
import { writeLearningData } from './learning-data.ts';
import { waysOf } from './ways.ts';

export interface LearningBenchOptions {
  /** What the data is, in words. */
  name: string;
  data: TrainingData;
  train: TrainConfig;
  replicas: number[];
  shards: number;
  /** Validation recall@1 to be reached; absent: `TARGET_SHARE` of the best that one process reaches. */
  target?: number;
}

/** What one way of training has learnt. */
export interface LearningRow extends StepFigures {
  name: string;
  replicas: number;
  /** Mean loss of each epoch. */
  lossByEpoch: number[];
  epochs: LearningCurve['epochs'];
  /** When the target was first reached after an epoch; null when it was not. */
  toTarget: { step: number; seconds: number } | null;
}

export interface LearningBenchResult {
  hardware: Hardware;
  options: Omit<LearningBenchOptions, 'data'>;
  numPictures: number;
  numQueries: number;
  numSteps: number;
  backend: string;
  target: number;
  rows: LearningRow[];
}

export const TARGET_SHARE = 0.98;

/**
 * Trains the same head on the same data by one process and in every mode and compression: what each has learnt when, and what its
 * losses were. Runs start from equal parameters and take equal batches; a lead validates after each epoch.
 */
export async function runLearningBench(
  config: Pick<Config, 'backend' | 'cacheDir'>,
  { data, ...options }: LearningBenchOptions,
  { signal, progress }: { signal: AbortSignal; progress: (done: number, total: number) => void },
): Promise<LearningBenchResult> {
  const { train, replicas, shards } = options;
  const { numSteps, stepsPerEpoch } = new BatchPlan(data, train);
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-learning-'));
  try {
    const path = join(folder, 'data');
    await writeLearningData(path, data);
    const workload = {
      model: 'head' as const,
      features: data.featureDim,
      dim: train.dim,
      labels: data.numLabels,
      batch: Math.min(train.labelsPerBatch, data.numLabels) * train.samplesPerLabel,
      steps: numSteps,
      seed: train.seed,
      learning: { train, data: path },
    };
    const ways = [
      { name: 'single', replicas: 1, dataParallel: undefined },
      ...replicas.flatMap((count) => waysOf(count, shards).map((way) => ({ ...way, replicas: count }))),
    ];
    let backend = 'none';
    const measured: Omit<LearningRow, 'toTarget'>[] = [];
    for (const [done, { name, replicas: count, dataParallel }] of ways.entries()) {
      progress(done, ways.length);
      const { curve, backend: used, ...figures } = await measureGang(config, workload, dataParallel, signal);
      if (curve === undefined) throw new LookalikeError('unavailable', `Expected ${name} to tell what it has learnt.`);
      backend = used;
      const lossByEpoch = meansOf(curve.lossByStep, stepsPerEpoch);
      measured.push({ name, replicas: count, ...figures, lossByEpoch, epochs: curve.epochs });
    }
    progress(1, 1);
    const target = options.target ?? TARGET_SHARE * Math.max(...measured[0]!.epochs.map(({ recall }) => recall));
    const rows = measured.map((row): LearningRow => {
      const { step, seconds } = row.epochs.find(({ recall }) => recall >= target) ?? {};
      return { ...row, toTarget: step === undefined || seconds === undefined ? null : { step, seconds } };
    });
    const { labels, queryLabels } = data;
    const sizes = { numPictures: labels.length, numQueries: queryLabels.length, numSteps };
    return { hardware: hardware(), options, ...sizes, backend, target, rows };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** With backup workers an epoch may hold fewer steps of the process that tells. */
function meansOf(losses: readonly number[], every: number): number[] {
  return Array.from({ length: Math.ceil(losses.length / every) }, (_, epoch) => {
    const own = losses.slice(epoch * every, (epoch + 1) * every);
    return own.reduce((sum, loss) => sum + loss, 0) / own.length;
  });
}
