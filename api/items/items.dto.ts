import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { WRITE_OUTCOMES } from '../../contracts/changes.ts';

/** Largest attributes of one item, as JSON. */
const MAX_ATTRIBUTES = 64 * 1024;

const text = (maxLength: number) =>
  z
    .string()
    .min(1)
    .max(maxLength)
    .refine((value) => !value.includes('\0') && value.isWellFormed(), 'Unicode text without NUL characters');
export const ItemId = text(512);

/** An item's fields; what is left out is empty, but for the picture, which stays. */
export const ItemFields = z.strictObject({
  imageBase64: z.string().min(1).optional().describe('The picture, base64 (a `data:` URL is taken too).'),
  imageUrl: z.string().min(1).max(2048).optional().describe('Where the picture is; only allowed hosts are fetched.'),
  category: text(256).nullish().describe('What people filter by.'),
  label: text(256).nullish().describe('What counts as the same product in training; the category when none is given.'),
  title: text(4096).nullish(),
  attributes: z
    .record(z.string(), z.json())
    .optional()
    .refine(
      (value) => value === undefined || JSON.stringify(value).length <= MAX_ATTRIBUTES,
      `at most ${MAX_ATTRIBUTES} characters as JSON`,
    ),
});
export class PutItemDto extends createZodDto(ItemFields) {}

/** One line of a bulk request. */
export const PutLine = ItemFields.extend({ id: ItemId });
export const DeleteLine = z.strictObject({ delete: ItemId.describe('Id of the item to delete.') });
export class WriteLineDto extends createZodDto(
  PutLine.partial({ id: true }).extend({ delete: DeleteLine.shape.delete.optional() }),
) {}

export const WriteQuery = z.strictObject({
  waitMs: z.coerce
    .number()
    .int()
    .min(0)
    .max(30_000)
    .default(0)
    .describe('Answer only once the change is searched, or after so many milliseconds; `searchable` tells.'),
});
export class WriteQueryDto extends createZodDto(WriteQuery) {}

const seq = z.number().describe("The catalogue's sequence number after the write.");
const searchable = z.boolean().optional().describe('With `waitMs`: whether searches see it already.');

const WriteAnswer = z.object({ id: z.string(), outcome: z.enum(WRITE_OUTCOMES), seq, searchable });
export class WriteAnswerDto extends createZodDto(WriteAnswer) {}

const count = z.number().int();
const BulkAnswer = z.object({
  seq,
  added: count,
  changed: count,
  unchanged: count,
  deleted: count,
  absent: count.describe('Deletions of what was not there.'),
  rejected: z
    .array(z.object({ line: z.number().int(), id: z.string().nullable(), reason: z.string() }))
    .describe('Lines that were not taken, 1-based; the others were.'),
  searchable,
});
export class BulkAnswerDto extends createZodDto(BulkAnswer) {}
export type BulkAnswer = z.output<typeof BulkAnswer>;
export type WriteAnswer = z.output<typeof WriteAnswer>;

export class ChangesStatusDto extends createZodDto(
  z.object({
    seq: z.number().describe('The newest sequence number that was acknowledged.'),
    searchableSeq: z
      .number()
      .nullable()
      .describe('All changes up to this one are searched; null while nothing serves.'),
    numWaiting: count.describe('Items whose new picture has no vector yet; they are found by their old one.'),
    numRows: count.describe('Items that are not as the index has them, until the next generation takes them in.'),
    generation: z.number().nullable(),
  }),
) {}
