import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';

export class LivenessDto extends createZodDto(z.object({ status: z.enum(['ok', 'shutting_down']) })) {}

export class ReadinessDto extends createZodDto(
  z.object({
    status: z.enum(['ready', 'degraded', 'not_ready', 'shutting_down']),
    registry: z.enum(['ok', 'unreachable', 'unknown']),
    serving: z
      .object({ catalogues: z.number(), answer: z.number(), partly: z.number(), silent: z.number() })
      .nullable()
      .describe('How many catalogues have a serving generation, and how those answered a probe.'),
  }),
) {}
