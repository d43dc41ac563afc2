import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { GENERATION_STATUSES } from '../../contracts/serving.ts';

export class RetrainRequestDto extends createZodDto(
  z.strictObject({
    recipe: z.string().min(1).max(100).optional().describe('Name of a recipe; the default one when left out.'),
    config: z.record(z.string(), z.json()).optional().describe('Overrides as a tree, shaped like the configuration.'),
    set: z.array(z.string().max(500)).max(100).optional().describe('Overrides as `path.to.key=value`.'),
    force: z.boolean().default(false).describe('Serve the candidate even if the gate refuses it.'),
    reason: z.string().max(1_000).optional().describe('Recorded with the generation.'),
  }),
) {}

export class RetrainStartedDto extends createZodDto(
  z.object({
    workflowId: z.string(),
    runId: z.string(),
    started: z.boolean().describe('False when a run was already under way: this is that run.'),
    temporalUrl: z.string().describe('The run in the Temporal UI.'),
  }),
) {}

const TrainProgressSchema = z.object({
  epoch: z.number(),
  numEpochs: z.number(),
  step: z.number(),
  numSteps: z.number(),
  loss: z.number().nullable(),
  learningRate: z.number(),
  recallByEpoch: z.array(z.number()).describe('Validation recall@1 after each finished epoch, the last 200.'),
  samplesPerSecond: z.number(),
  backend: z.string(),
  checkpoint: z.string().nullable(),
  parts: z
    .array(
      z.object({
        role: z.enum(['replica', 'parameters', 'stage']),
        index: z.number(),
        host: z.string().nullable(),
        attempt: z.number().describe('1 until it is lost for the first time.'),
        holds: z.string().nullable().describe('Of a stage: its part of the model.'),
        step: z.number().nullable(),
        loss: z.number().nullable(),
        bytesPerStep: z.number().nullable(),
        staleness: z.array(z.number()).describe('Applied gradients by how many steps old they were.'),
        note: z.string().nullable().describe('What it waits for, or why it was lost last.'),
      }),
    )
    .optional()
    .describe('Replicas and parameter shards of a data-parallel training, or the parts of a model that is cut.'),
});

export class RetrainStatusDto extends createZodDto(
  z.object({
    workflowId: z.string(),
    runId: z.string(),
    status: z.enum(['running', 'completed', 'failed', 'cancelled']),
    startedAt: z.string(),
    closedAt: z.string().nullable(),
    steps: z.array(
      z.object({
        name: z.string(),
        status: z.enum(['waiting', 'running', 'done', 'reused', 'failed']),
        detail: z.string(),
      }),
    ),
    training: TrainProgressSchema.nullable().describe('Live figures while the head is trained.'),
    output: z
      .record(z.string(), z.json())
      .nullable()
      .describe('The result of a finished run; `untrained` says why its model is the untrained one.'),
    failure: z.string().nullable(),
    temporalUrl: z.string(),
  }),
) {}

const GenerationSchema = z.object({
  catalogue: z.string(),
  number: z.number(),
  status: z.enum(GENERATION_STATUSES),
  snapshot: z.string(),
  model: z.string().nullable(),
  embeddings: z.string().nullable(),
  index: z.string().nullable(),
  metrics: z
    .record(z.string(), z.json())
    .describe(
      'Holdout recall and index recall; on rejection the reasons; `untrained`: why its model is the untrained one.',
    ),
  workflowId: z.string(),
  createdAt: z.string(),
});

export class GenerationDto extends createZodDto(GenerationSchema) {}

export class GenerationListDto extends createZodDto(z.object({ generations: z.array(GenerationSchema) })) {}

export class GenerationParamsDto extends createZodDto(
  z.object({ catalogue: z.string(), number: z.coerce.number().int().min(1) }),
) {}

export class RecipeListDto extends createZodDto(
  z.object({
    recipes: z.array(z.object({ name: z.string(), about: z.string(), config: z.record(z.string(), z.json()) })),
  }),
) {}
