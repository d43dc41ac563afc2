import { z } from 'zod';
import type { RetrainRule } from '../../contracts/schedules.ts';

/** A look at a large catalogue costs a reading of it. */
const MIN_CHECK_MS = 1_000;
export const DEFAULT_CHECK_MS = 600_000;

const checkEveryMs = z
  .number()
  .int()
  .min(MIN_CHECK_MS)
  .max(30 * 24 * 3_600_000)
  .default(DEFAULT_CHECK_MS)
  .describe('Milliseconds between two looks.');

/** When a schedule retrains, as a person may write it. */
export const RetrainRuleSchema = z.discriminatedUnion('trigger', [
  z.strictObject({
    trigger: z.literal('cron'),
    cron: z
      .string()
      .min(1)
      .max(200)
      .describe('Five fields (minute, hour, day, month, weekday), or @daily and the like.'),
    timeZone: z.string().min(1).max(100).optional().describe('Such as Europe/Berlin; UTC when left out.'),
  }),
  z.strictObject({
    trigger: z.literal('changes'),
    numChanges: z.number().int().min(1).describe('Items and examples added, changed or removed.'),
    checkEveryMs,
  }),
  z.strictObject({
    trigger: z.literal('drift'),
    maxDrop: z
      .number()
      .min(0)
      .max(2)
      .describe('How much the mean cosine of queries and their nearest item may fall since the model was new.'),
    checkEveryMs,
  }),
]) satisfies z.ZodType<RetrainRule>;

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `30s`, `10m`, `2h`, `1d` in milliseconds; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit] = /^(\d+)([smhd])$/.exec(text.trim()) ?? [];
  return count === undefined || unit === undefined ? undefined : Number(count) * UNITS[unit]!;
}

/** The other way: 600000 is `10m`. */
export function durationText(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((name) => ms >= UNITS[name]! && ms % UNITS[name]! === 0);
  return unit === undefined ? `${ms} ms` : `${ms / UNITS[unit]!}${unit}`;
}

/** A rule in words. */
export function ruleText(rule: RetrainRule): string {
  switch (rule.trigger) {
    case 'cron':
      return `at ${rule.cron}${rule.timeZone === undefined ? '' : ` ${rule.timeZone}`}`;
    case 'changes':
      return `after ${rule.numChanges} changes, looked for every ${durationText(rule.checkEveryMs)}`;
    case 'drift':
      return `when queries are ${rule.maxDrop} further from the catalogue, looked at every ${durationText(rule.checkEveryMs)}`;
  }
}
