import { z } from 'zod';
import type { SimilarConfig } from '../../contracts/similar.ts';

/** Neighbours of one activity: each takes some 60 bytes while it is searched for. */
const MAX_CHUNK_NEIGHBOURS = 25_000_000;

/** What a caller may ask for, and what is taken where nothing is said. */
export const SimilarConfigSchema = z
  .strictObject({
    k: z.int().min(1).max(1000).default(24).describe('Neighbours kept for each item.'),
    withinCategory: z.boolean().default(false).describe("Only neighbours of the item's own category."),
    nearDuplicateScore: z
      .number()
      .nullable()
      .optional()
      .describe('Items that score at least this are near-duplicates. Default: 0.98 under cosine; null for none.'),
    exact: z.boolean().default(false).describe('Compare with every vector, whatever the kind of the index.'),
    chunkItems: z.int().min(100).max(1_000_000).default(20_000).describe('Items of one activity.'),
  })
  .refine(({ k, chunkItems }) => k * chunkItems <= MAX_CHUNK_NEIGHBOURS, {
    path: ['chunkItems'],
    error: ({ input }) => `at most ${MAX_CHUNK_NEIGHBOURS / (input as SimilarConfig).k} for so large a k`,
  }) satisfies z.ZodType<SimilarConfig>;
