import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';

export class ItemsQueryDto extends createZodDto(
  z.strictObject({
    after: z.string().max(1024).optional().describe('The last id of the page before.'),
    limit: z.coerce.number().int().min(1).max(1000).default(50),
    category: z.string().min(1).max(256).optional(),
  }),
) {}

const Item = z.object({
  id: z.string(),
  category: z.string().nullable(),
  label: z.string().nullable(),
  title: z.string().nullable(),
  attributes: z.record(z.string(), z.json()),
  imageUrl: z.string(),
});

export class ItemDto extends createZodDto(Item) {}

export class ItemPageDto extends createZodDto(
  z.object({
    items: z.array(Item),
    nextAfter: z.string().nullable().describe('Pass as `after` for the next page; null on the last one.'),
  }),
) {}

export class CatalogueListDto extends createZodDto(
  z.object({
    catalogues: z.array(
      z.object({
        catalogue: z.string(),
        numItems: z.number(),
        numExamples: z.number(),
        serving: z
          .object({
            generation: z.number(),
            model: z.string(),
            dim: z.number(),
            untrained: z.string().nullable().describe('Why the model is the untrained one; null for a trained one.'),
          })
          .nullable()
          .describe('What answers searches; null while nothing does.'),
      }),
    ),
  }),
) {}

export class CategoryListDto extends createZodDto(
  z.object({ categories: z.array(z.object({ category: z.string(), count: z.number() })) }),
) {}
