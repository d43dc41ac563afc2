import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import type { SimilarAnswer } from '../../contracts/similar.ts';
import { EFFORT_QUERY_FIELDS } from '../../infra/shards/search-effort.ts';
import { SimilarConfigSchema } from '../../infra/similar/similar-config.ts';
import { MAX_K, SearchHitSchema } from '../search/search.dto.ts';

export class SimilarQueryDto extends createZodDto(
  z.strictObject({
    k: z.coerce.number().int().min(1).max(MAX_K).default(10).describe('How many results at most.'),
    withinCategory: z
      .enum(['true', 'false'])
      .default('false')
      .describe("`true`: only items of the item's own category."),
    live: z
      .enum(['true', 'false'])
      .default('false')
      .describe('`true`: search now, even where a finished batch holds the answer.'),
    ...EFFORT_QUERY_FIELDS,
  }),
) {}

const Answer = z.object({
  hits: z.array(SearchHitSchema).describe('Best first; of near-duplicates only the best.'),
  nearDuplicates: z.array(SearchHitSchema.omit({ score: true })).describe('Items that show the same thing.'),
  source: z.enum(['batch', 'live']).describe('`batch`: found in advance; `live`: searched for this request.'),
  withinCategory: z.boolean().describe("Only items of the item's own category were admitted."),
  generation: z.number(),
  model: z.string(),
  index: z.string(),
}) satisfies z.ZodType<SimilarAnswer>;
export class SimilarAnswerDto extends createZodDto(Answer) {}

export class SimilarRequestDto extends createZodDto(SimilarConfigSchema) {}

export class SimilarStartedDto extends createZodDto(
  z.object({
    workflowId: z.string(),
    runId: z.string(),
    started: z.boolean().describe('False when a run was already under way and is named instead.'),
    temporalUrl: z.string(),
  }),
) {}
