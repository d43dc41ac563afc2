import { z } from 'zod';
import type { FinetuneConfig } from '../../contracts/finetune.ts';
import type { LossConfig } from '../../contracts/training.ts';
import { SIZE_STEP } from '../../lib/finetune/backbone-graph.ts';
import { NUM_BLOCKS } from '../../lib/finetune/network.ts';
import { usesProxies } from '../../lib/train/losses/index.ts';

const share = z.number().min(0).max(1);
const count = z.int().min(1);
const rate = z.number().positive().max(1);
const side = z.int().min(96).max(512).multipleOf(SIZE_STEP);

/** @param loss the schema of losses, which a head has too */
export function finetuneSchema(loss: z.ZodType<LossConfig>): z.ZodType<FinetuneConfig> {
  return z
    .strictObject({
      blocks: z.int().min(0).max(NUM_BLOCKS),
      size: side,
      outputSize: side,
      views: count.max(64),
      dim: count.max(4096),
      loss,
      learningRate: rate,
      headLearningRate: rate,
      layerDecay: z.number().gt(0).max(1),
      weightDecay: z.number().min(0).max(100),
      warmupEpochs: z.int().min(0),
      epochs: count.max(10_000),
      labelsPerBatch: z.int().min(2).max(4_096),
      samplesPerLabel: count.max(1024),
      dropout: z.number().min(0).max(0.95),
      averaging: z.number().min(0).lt(1),
      keep: share,
      checkpointEverySteps: count,
      seed: z
        .int()
        .min(0)
        .max(2 ** 31),
    })
    .refine(({ warmupEpochs, epochs }) => warmupEpochs <= epochs, {
      path: ['warmupEpochs'],
      message: 'the warm-up must not be longer than the run (epochs)',
    })
    .refine((finetune) => usesProxies(finetune.loss) || finetune.samplesPerLabel >= 2, {
      path: ['samplesPerLabel'],
      message: 'a loss over pairs needs at least 2 samples per label',
    })
    .refine(
      ({ learningRate, headLearningRate, weightDecay }) => Math.max(learningRate, headLearningRate) * weightDecay < 1,
      {
        path: ['weightDecay'],
        message: 'a learning rate x weightDecay must stay below 1, or each step would erase the weights',
      },
    );
}
