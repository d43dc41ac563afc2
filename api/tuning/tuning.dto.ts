import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { TuneRequestSchema } from '../../infra/tune/schema.ts';
import { RetrainRequestDto } from '../training/training.dto.ts';

const Base = RetrainRequestDto.schema.pick({ recipe: true, config: true, set: true });

export class TuneRequestDto extends createZodDto(
  Base.extend({
    ...TuneRequestSchema.shape,
    recipe: Base.shape.recipe.describe('What every trial starts from; the default recipe when left out.'),
  }),
) {}

const TrialSchema = z.object({
  id: z.number(),
  params: z.record(z.string(), z.json()).describe('Path of the space -> value.'),
  status: z.enum(['waiting', 'running', 'paused', 'stopped', 'done', 'failed']),
  untilEpoch: z.number().describe('The epoch to which it runs, or ran, now.'),
  reports: z
    .array(z.object({ epoch: z.number(), value: z.number() }))
    .describe('Best validation recall@1 until each of some epochs.'),
  bracket: z.number().optional(),
  parent: z.number().optional(),
  failures: z.number(),
  reason: z.string().optional().describe('Why it was stopped or has failed.'),
  checkpoint: z.string().optional(),
  origin: z.string().optional(),
  model: z.string().optional(),
  recall: z.number().optional(),
});

const TuneStatusSchema = z.object({
  workflowId: z.string(),
  runId: z.string(),
  status: z.enum(['running', 'completed', 'failed', 'cancelled']),
  startedAt: z.string(),
  closedAt: z.string().nullable(),
  view: z
    .object({
      catalogue: z.string(),
      trials: z.array(TrialSchema),
      numTrials: z.number(),
      epochs: z.number().describe('The most that a trial is trained.'),
      trainers: z.number().nullable(),
      width: z.number().describe('How many trials may run at once now.'),
      best: z.number().nullable(),
      search: z.string(),
      scheduler: z.string(),
    })
    .nullable()
    .describe('Null while no orchestrator answers.'),
  output: z
    .record(z.string(), z.json())
    .nullable()
    .describe('Of a search that ended: `outcome`, the `best` trial with its configuration, and the artefact `tuning`.'),
  failure: z.string().nullable(),
  temporalUrl: z.string(),
});

export class TuneStatusDto extends createZodDto(TuneStatusSchema) {}

export class NewestTuneDto extends createZodDto(
  z.object({ search: TuneStatusSchema.nullable().describe('Null where nothing was ever tuned.') }),
) {}
