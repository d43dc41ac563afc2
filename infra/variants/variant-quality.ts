import { z } from 'zod';
import type { Artifact } from '../../contracts/artifacts.ts';
import type { VariantQuality } from '../../contracts/model.ts';

const Quality = z.object({
  numQueries: z.number(),
  numCatalogue: z.number(),
  recallAt1: z.object({ model: z.number(), variant: z.number(), variantQueries: z.number() }).nullable(),
  maxRecallDrop: z.number(),
  mayServe: z.boolean(),
  mayQuery: z.boolean(),
  reasons: z.array(z.string()),
}) satisfies z.ZodType<VariantQuality>;

/** What a variant costs, where it was measured. */
export function qualityOf(artifact: Artifact): VariantQuality | undefined {
  return Quality.safeParse(artifact.manifest.metrics['quality']).data;
}
