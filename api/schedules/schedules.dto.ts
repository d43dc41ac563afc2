import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { SCHEDULE_TRIGGERS } from '../../contracts/schedules.ts';
import { RetrainRuleSchema } from '../../infra/schedules/rule-schema.ts';

export class ScheduleRequestDto extends createZodDto(
  z.strictObject({
    rule: RetrainRuleSchema,
    recipe: z.string().min(1).max(100).optional().describe('Name of a recipe; the default one when left out.'),
    config: z.record(z.string(), z.json()).optional().describe('Overrides as a tree, shaped like the configuration.'),
    set: z.array(z.string().max(500)).max(100).optional().describe('Overrides as `path.to.key=value`.'),
  }),
) {}

export class ScheduleMadeDto extends createZodDto(
  z.object({ id: z.string(), created: z.boolean().describe('False when one was there and was changed.') }),
) {}

export class ScheduleParamsDto extends createZodDto(
  z.object({ catalogue: z.string(), trigger: z.enum(SCHEDULE_TRIGGERS) }),
) {}

export class ScheduleActionParamsDto extends createZodDto(
  z.object({
    catalogue: z.string(),
    trigger: z.enum(SCHEDULE_TRIGGERS),
    action: z.enum(['pause', 'resume', 'trigger']).describe('`trigger` looks now whether retraining is due.'),
  }),
) {}

export class ScheduleListDto extends createZodDto(
  z.object({
    schedules: z.array(
      z.object({
        id: z.string(),
        catalogue: z.string(),
        rule: RetrainRuleSchema,
        recipe: z.string(),
        paused: z.boolean(),
        note: z.string().nullable(),
        nextCheck: z.string().nullable(),
        lastCheck: z.string().nullable(),
        temporalUrl: z.string().describe('The schedule in the Temporal UI: what it started, and what came of it.'),
      }),
    ),
  }),
) {}
