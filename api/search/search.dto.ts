import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { PLANS } from '../../contracts/ann.ts';
import type { IndexSpec } from '../../contracts/ann.ts';
import { CROP_UNITS } from '../../contracts/crop.ts';
import { FACET_LIMITS } from '../../contracts/facets.ts';
import { FILTER_LIMITS } from '../../contracts/filters.ts';
import { SEARCH_ENDS } from '../../contracts/serving.ts';
import type { SearchAnswer } from '../../contracts/serving.ts';
import { FilterSchema } from '../../infra/filters/filter-schema.ts';
import { MAX_RERANK_DEPTH } from './rerank-page.ts';
import { EFFORT_FIELDS, EFFORT_NAMES } from '../../infra/shards/search-effort.ts';

export const MAX_K = 1000;
const MAX_DIM = 8192;
const MAX_EXAMPLES = 32;
const MAX_GROUP_SIZE = 100;
const MAX_TIMEOUT_MS = 60_000;
const MAX_BOOSTS = 8;
const MAX_BOOST = 10;

const field = z.string().min(1).max(FILTER_LIMITS.nameLength);
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
  crop: z
    .strictObject({
      left: z.number().min(0),
      top: z.number().min(0),
      width: z.number().positive(),
      height: z.number().positive(),
      unit: z.enum(CROP_UNITS).default('relative'),
    })
    .optional()
    .describe(
      'The part of the picture to look for, from the top left corner of the picture as it is seen: shares of its width and height (`relative`), or whole pixels (`pixel`). Refused (400) when it leaves the picture.',
    ),
  moreLike: examples.describe('Items that results should look like too; enough by themselves, without another query.'),
  lessLike: examples.describe('Items that results should look less like.'),
  k: z.int().min(1).max(MAX_K).default(10).describe('How many results at most.'),
  category: z.string().min(1).max(256).optional().describe('Only items of this category.'),
  filter: FilterSchema.optional().describe(
    'Only items with such attributes, all of them: `{"brand": "acme", "size": {"in": ["s", "m"]}, "price": {"gte": 10, "lt": 50}}`.',
  ),
  minScore: z.number().optional().describe('Only results that score at least this.'),
  minProbability: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'Only results that show the same product with at least this probability, as the labels of the generation tell; refused (409) where it has too few.',
    ),
  exactScores: z
    .boolean()
    .optional()
    .describe(
      'Score what is found in full precision, also in an index whose codes alone decide. Re-ranking does so by itself.',
    ),
  diversity: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'Re-ranking by maximal marginal relevance: how much likeness to the hits before counts against a hit. 0: not at all.',
    ),
  nearDuplicateScore: z
    .number()
    .min(-1)
    .max(1)
    .optional()
    .describe('Of hits whose cosine is at least this, only the first is kept.'),
  boosts: z
    .array(
      z
        .strictObject({
          category: z.string().min(1).max(256).optional(),
          filter: FilterSchema.optional(),
          weight: z.number().min(-MAX_BOOST).max(MAX_BOOST).describe('Added to what the item ranks by.'),
        })
        .refine(({ category, filter }) => category !== undefined || filter !== undefined, {
          error: 'a `category`, a `filter` or both beside `weight`',
        }),
    )
    .min(1)
    .max(MAX_BOOSTS)
    .optional()
    .describe('Items of a category or with attributes that rank higher, or lower.'),
  rerankDepth: z
    .int()
    .min(1)
    .max(MAX_RERANK_DEPTH)
    .optional()
    .describe(
      'With `diversity`, `nearDuplicateScore` or `boosts`: candidates that are re-ranked. Default 4 k, at least 100.',
    ),
  groupBy: field
    .optional()
    .describe(
      '`label` (what counts as the same product), `category` or an attribute: `hits` are the best of each group. An item without one stands for itself; of a list the first value counts.',
    ),
  groupSize: z
    .int()
    .min(1)
    .max(MAX_GROUP_SIZE)
    .default(1)
    .describe('With `groupBy`: items told of each group, as far as they were met.'),
  facets: z
    .array(field.refine((name) => name !== 'label', { error: '`category` or an attribute (labels can be grouped by)' }))
    .min(1)
    .max(FACET_LIMITS.facets)
    .optional()
    .describe(
      '`category` or attributes: counts of their values over all items that match `category` and `filter`, however alike.',
    ),
  facetSize: z
    .int()
    .min(1)
    .max(FACET_LIMITS.values)
    .default(10)
    .describe('Values told of each facet, commonest first.'),
  cursor: z
    .string()
    .min(1)
    .max(4096)
    .optional()
    .describe('`nextCursor` of an answer: goes on after it. Send the same search again, with any `k`.'),
  exact: z.boolean().default(false).describe('Compare with every vector, whatever the index kind.'),
  ...EFFORT_FIELDS,
  allowPartial: z.boolean().default(false).describe('Answer although some shards do not; `coverage` tells.'),
  timeoutMs: z
    .int()
    .min(1)
    .max(MAX_TIMEOUT_MS)
    .optional()
    .describe(
      'Give up after so long (504): every part that works for this search stops then. At most what the server allows.',
    ),
});

/** The query string of a search. */
export const SearchParams = z.strictObject({
  explain: z.stringbool({ truthy: ['true', '1', ''], falsy: ['false', '0'] }).default(false),
});

export class SearchRequestDto extends createZodDto(SearchFields) {}

export const SearchHitSchema = z.object({
  id: z.string(),
  score: z.number().describe('Higher is nearer.'),
  probability: z
    .number()
    .optional()
    .describe('That query and hit show the same product; absent where the generation has too few labels to tell.'),
  rankScore: z.number().optional().describe('What it ranks by, where a search re-ranks.'),
  category: z.string().nullable(),
  title: z.string().nullable(),
  attributes: z.record(z.string(), z.json()),
  imageUrl: z.string().describe("Path of the item's picture on this server."),
});

const GroupSchema = z.object({
  value: z.string().nullable().describe('What its items have in common; null: the item stands for itself.'),
  more: z.array(SearchHitSchema).describe('The next best of the group.'),
});

const FacetSchema = z.object({
  name: z.string(),
  values: z.array(z.object({ value: z.string(), count: z.int() })).describe('Commonest first.'),
  maxError: z.int().describe('Counts may be too low by this at most.'),
});

/** Each kind has parameters of its own. */
const IndexSpecSchema = z.looseObject({ kind: z.string() }) as unknown as z.ZodType<IndexSpec>;

const ShardSchema = z
  .object({
    shard: z.int(),
    answered: z.boolean(),
    replica: z.int().nullable().describe('Whose answer was taken.'),
    host: z.string().nullable(),
    numAsked: z.int().optional().describe('Replicas asked: another after a failure, or beside one that was slow.'),
    isHedged: z.boolean().optional().describe('One that was slow was raced by another.'),
    ms: z.number().optional().describe('From asking to the answer.'),
    searchMs: z.number().optional().describe('Of that, in the index.'),
    numRows: z.int().optional(),
    spec: IndexSpecSchema.optional().describe('Kind and parameters of its index.'),
    plan: z.enum(PLANS).optional().describe('The path that answered.'),
    visited: z.int().optional().describe('Rows compared with the query, where the kind of index counts them.'),
    failure: z.string().optional().describe('Code of the failure, where none answered.'),
  })
  .describe('What became of asking one shard in the last round.');

const ExplanationSchema = z.object({
  numRounds: z.int().describe('Searches of all shards, each deeper than the one before, until enough was left.'),
  depth: z.int().describe('Hits asked of each shard in the last round.'),
  candidates: z.object({
    found: z.int(),
    leftOut: z.int().describe('Gone from the catalogue, no longer as asked for, or what was asked with.'),
  }),
  effort: z.partialRecord(z.enum(EFFORT_NAMES), z.int()).describe('What how hard to look was overridden with.'),
  exact: z.boolean(),
  shards: z.array(ShardSchema),
});

export const SearchAnswerSchema = z.object({
  hits: z
    .array(SearchHitSchema.extend({ group: GroupSchema.optional() }))
    .describe('Best first; with `groupBy` the best of each group.'),
  nextCursor: z.string().nullable().describe('Continues after these hits; null after the last.'),
  end: z
    .enum(SEARCH_ENDS)
    .optional()
    .describe('Why there is no `nextCursor`: nothing more is to be found, or no search looks deeper.'),
  facets: z.array(FacetSchema).optional(),
  crop: z
    .object({ left: z.int(), top: z.int(), width: z.int(), height: z.int() })
    .optional()
    .describe('What the crop of the search meant in its picture, in pixels.'),
  model: z.string().describe('Model artefact that made the vectors.'),
  generation: z.number(),
  index: z.string().describe('Index artefact that answered.'),
  coverage: z
    .object({ shardsAsked: z.number(), shardsAnswered: z.number() })
    .describe('Fewer answered than asked: the result is partial.'),
  explanation: ExplanationSchema.optional().describe('With `?explain=true`.'),
  timingsMs: z.object({
    total: z.number(),
    fetch: z.number().optional(),
    queue: z.number().optional(),
    decode: z.number().optional(),
    preprocess: z.number().optional(),
    infer: z.number().optional(),
    route: z.number(),
    search: z.number(),
    merge: z.number(),
    rerank: z.number().optional(),
  }),
}) satisfies z.ZodType<SearchAnswer>;

export class SearchAnswerDto extends createZodDto(SearchAnswerSchema) {}
