import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { ARTIFACT_KINDS } from '../../contracts/artifacts.ts';

const reason = z.string().max(1_000).optional().describe('Recorded with the switch.');

export class PromoteRequestDto extends createZodDto(z.strictObject({ reason })) {}

export class RollbackRequestDto extends createZodDto(
  z.strictObject({
    to: z.number().int().min(1).optional().describe('Number of the generation; what served before when left out.'),
    reason,
  }),
) {}

export class SwitchedDto extends createZodDto(
  z.object({
    generation: z.number().describe('What serves now.'),
    previous: z.number().nullable().describe('What served until now.'),
    switched: z.boolean().describe('False when it served already.'),
  }),
) {}

export class SwitchListDto extends createZodDto(
  z.object({
    switches: z.array(
      z.object({
        generation: z.number(),
        previous: z.number().nullable(),
        how: z.enum(['retrain', 'promote', 'rollback']),
        by: z.string().describe('A user of the server, the id of an API key, or the workflow.'),
        reason: z.string().nullable(),
        at: z.string(),
      }),
    ),
  }),
) {}

/** The tree is as deep as the derivation; each artefact stands in it once. */
const NodeSchema = z.object({
  role: z.string().describe('What it is to the one above.'),
  id: z.string(),
  state: z
    .enum(['artifact', 'blob', 'seen', 'gone'])
    .describe('`seen`: it stands elsewhere in the tree; `gone`: garbage collection took it.'),
  made: z
    .object({
      kind: z.enum(ARTIFACT_KINDS),
      config: z.record(z.string(), z.json()),
      seed: z.number().nullable(),
      codeVersion: z.string(),
      summary: z.record(z.string(), z.json()),
      metrics: z.record(z.string(), z.json()),
    })
    .nullable(),
  inputs: z.array(z.record(z.string(), z.json())).describe('The same again.'),
});

export class LineageDto extends createZodDto(z.object({ roots: z.array(NodeSchema) })) {}
