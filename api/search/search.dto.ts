import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { FilterSchema } from '../../infra/filters/filter-schema.ts';
import { EFFORT_FIELDS } from '../../infra/shards/search-effort.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';

export const MAX_K = 1000;
const MAX_DIM = 8192;
const MAX_EXAMPLES = 32;

const examples = z.array(z.string().min(1).max(1024)).max(MAX_EXAMPLES).optional();

/** The fields of a search; exactly one of the four kinds of query (or an uploaded `image`) must be there, or else `moreLike`. */
export const SearchFields = z.strictObject({
  imageBase64: z.string().min(1).optional().describe('The picture, base64 (a `data:` URL is taken too).'),
  imageUrl: z.string().min(1).max(2048).optional().describe('Where the picture is; only allowed hosts are fetched.'),
  itemId: z.string().min(1).max(1024).optional().describe('An item of the catalogue: what looks like it?'),
  vector: z
    .array(z.number())
    .min(1)
    .max(MAX_DIM)
    .optional()
    .describe("A vector of the serving model, of that model's length."),
  model: z
    .string()
    .min(1)
    .max(256)
    .optional()
    .describe('With `vector`: the model artefact that made it; refused (409) when another serves.'),
  moreLike: examples.describe('Items that results should look like too; enough by themselves, without another query.'),
  lessLike: examples.describe('Items that results should look less like.'),
  k: z.int().min(1).max(MAX_K).default(10).describe('How many results at most.'),
  category: z.string().min(1).max(256).optional().describe('Only items of this category.'),
  filter: FilterSchema.optional().describe(
    'Only items with such attributes, all of them: `{"brand": "acme", "size": {"in": ["s", "m"]}, "price": {"gte": 10, "lt": 50}}`.',
  ),
  minScore: z.number().optional().describe('Only results that score at least this.'),
  exact: z.boolean().default(false).describe('Compare with every vector, whatever the index kind.'),
  ...EFFORT_FIELDS,
  allowPartial: z.boolean().default(false).describe('Answer although some shards do not; `coverage` tells.'),
});

export class SearchRequestDto extends createZodDto(SearchFields) {}

export const SearchHitSchema = z.object({
  id: z.string(),
  score: z.number().describe('Higher is nearer.'),
  category: z.string().nullable(),
  title: z.string().nullable(),
  attributes: z.record(z.string(), z.json()),
  imageUrl: z.string().describe("Path of the item's picture on this server."),
});

export const SearchAnswerSchema = z.object({
  hits: z.array(SearchHitSchema).describe('Best first.'),
  model: z.string().describe('Model artefact that made the vectors.'),
  generation: z.number(),
  index: z.string().describe('Index artefact that answered.'),
  coverage: z
    .object({ shardsAsked: z.number(), shardsAnswered: z.number() })
    .describe('Fewer answered than asked: the result is partial.'),
  timingsMs: z.object({
    total: z.number(),
    fetch: z.number().optional(),
    queue: z.number().optional(),
    decode: z.number().optional(),
    infer: z.number().optional(),
    route: z.number(),
    search: z.number(),
    merge: z.number(),
  }),
}) satisfies z.ZodType<SearchAnswer>;

export class SearchAnswerDto extends createZodDto(SearchAnswerSchema) {}
