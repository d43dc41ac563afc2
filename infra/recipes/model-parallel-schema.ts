import { z } from 'zod';
import { MAX_CLASSIFIER_PARTS, MAX_STAGES } from '../../contracts/training.ts';
import type { ModelParallelConfig, TrainConfig } from '../../contracts/training.ts';
import { isRowWise } from '../../lib/train/head-layers.ts';
import type { Contradiction } from './data-parallel-schema.ts';

export const ModelParallelSchema = z.strictObject({
  stages: z.int().min(1).max(MAX_STAGES),
  cut: z.union([z.literal('auto'), z.array(z.int().min(1)).max(MAX_STAGES - 1)], {
    error: 'expected "auto", or for each stage but the first the number of the layer at which it begins',
  }),
  microBatches: z.int().min(1).max(1_024),
  schedule: z.enum(['gpipe', '1f1b']),
  classifierParts: z.int().min(1).max(MAX_CLASSIFIER_PARTS),
  maxBytesPerStage: z
    .int()
    .min(2 ** 20)
    .optional(),
}) satisfies z.ZodType<ModelParallelConfig>;

/** Why a model cannot be cut the way its configuration says; empty when it can, as far as is known without the catalogue. */
export function cutContradictionsOf(
  train: Pick<TrainConfig, 'strategy' | 'modelParallel' | 'hidden' | 'loss' | 'labelsPerBatch' | 'samplesPerLabel'>,
): Contradiction[] {
  const { strategy, modelParallel, hidden = [], loss, labelsPerBatch, samplesPerLabel } = train;
  if (strategy !== 'modelParallel') {
    if (modelParallel === undefined) return [];
    return [{ path: ['strategy'], message: 'train.modelParallel says how strategy modelParallel works; choose it' }];
  }
  if (modelParallel === undefined) {
    return [{ path: ['modelParallel'], message: 'strategy modelParallel needs to know its stages and schedule' }];
  }
  const { stages, cut, microBatches, schedule, classifierParts } = modelParallel;
  const found: Contradiction[] = [];
  const refuse = (key: keyof ModelParallelConfig, message: string): void =>
    void found.push({ path: ['modelParallel', key], message });
  // Each hidden layer and its ReLU, the projection, and the embedding's unit length; the loss comes last.
  const lossAt = 2 * hidden.length + 2;
  if (stages > lossAt + 1) {
    refuse(
      'stages',
      `there are ${lossAt + 1} layers with the loss: at most as many stages; train.hidden adds two each`,
    );
  } else if (cut !== 'auto') {
    if (cut.length !== stages - 1) {
      refuse('cut', `must name the first layer of each of ${stages} stages but the first: ${stages - 1} of them`);
    } else if (cut.some((at, i) => at <= (cut[i - 1] ?? 0) || at > lossAt)) {
      refuse('cut', `must rise, from 1 to at most ${lossAt}, which is the loss`);
    }
  }
  if (microBatches > labelsPerBatch * samplesPerLabel) {
    refuse('microBatches', `a batch has ${labelsPerBatch * samplesPerLabel} rows: at most as many micro-batches`);
  }
  if (schedule === '1f1b' && !isRowWise(loss)) {
    refuse(
      'schedule',
      `the loss ${loss.kind} compares all rows of a batch, so nothing goes backward sooner: needs gpipe`,
    );
  }
  if (classifierParts > 1) {
    if (loss.kind !== 'proxySoftmax') {
      refuse('classifierParts', `only the labels of the loss proxySoftmax can be divided, not those of ${loss.kind}`);
    } else if (stages < 2) {
      refuse('classifierParts', 'a divided classifier has the last stage to itself: needs at least 2 stages');
    } else if (cut !== 'auto' && cut.length === stages - 1 && cut.at(-1) !== lossAt) {
      refuse('cut', `a divided classifier has the last stage to itself: the last number must be ${lossAt}, the loss`);
    }
  }
  return found;
}
