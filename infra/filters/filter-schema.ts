import { z } from 'zod';
import { FILTER_LIMITS } from '../../contracts/filters.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';

const value = z.union([z.string().max(FILTER_LIMITS.valueLength), z.number(), z.boolean()]);
const bound = z.number().optional();
const bounds = z
  .strictObject({ gt: bound, gte: bound, lt: bound, lte: bound })
  .refine((given) => Object.values(given).some((one) => one !== undefined), {
    error: 'Expected at least one of gt, gte, lt and lte, got none.',
  });
const condition = z.union([value, z.strictObject({ in: z.array(value).min(1).max(FILTER_LIMITS.values) }), bounds]);

/** Of a request. */
export const FilterSchema = z
  .record(z.string().min(1).max(FILTER_LIMITS.nameLength), condition)
  .refine((filter) => Object.keys(filter).length <= FILTER_LIMITS.conditions, {
    error: `Expected conditions on at most ${FILTER_LIMITS.conditions} attributes.`,
  }) satisfies z.ZodType<AttributeFilter>;
