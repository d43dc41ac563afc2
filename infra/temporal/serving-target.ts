import { z } from 'zod';
import type { Generation } from '../../contracts/serving.ts';
import type { ServingTarget } from '../../contracts/workflows.ts';

const Recorded = z.object({ config: z.object({ numReplicas: z.number().int().positive() }) });

/** What a supervisor needs to keep a recorded generation alive; null for one that has no index yet. */
export function servingTarget({ number, model, index, metrics }: Generation): ServingTarget | null {
  if (model === null || index === null) return null;
  const recorded = Recorded.safeParse(metrics);
  return { generation: number, index, model, numReplicas: recorded.success ? recorded.data.config.numReplicas : 1 };
}
