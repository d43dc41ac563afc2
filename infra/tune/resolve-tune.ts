import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import type { z } from 'zod';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { RetrainConfig } from '../../contracts/training.ts';
import type { TuneConfig } from '../../contracts/tuning.ts';
import { tuneProblems } from '../../lib/tune/tune-problems.ts';
import { pathProblems } from './path-problems.ts';
import { TuneConfigSchema, TuneRequestSchema, schedulerDefaults, searchDefaults } from './schema.ts';
import { trialProblems } from './trial-problems.ts';

/** Reads a search's description. @throws LookalikeError `invalidInput` */
export function readTuneFile(path: string): JsonObject {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new LookalikeError('invalidInput', `Expected YAML or JSON in ${path}: ${errorMessage(error)}`);
  }
  if (typeof content === 'object' && content !== null && !Array.isArray(content)) return content as JsonObject;
  throw new LookalikeError('invalidInput', `Expected ${path} to hold an object with \`space\`.`);
}

/**
 * A whole search: what is not said takes its default, and everything that can be known to contradict is refused before anything starts.
 * @param base what every trial starts from
 * @param request as it came from a file or over HTTP
 * @throws LookalikeError `invalidInput` naming every contradiction
 */
export function resolveTuneConfig(base: RetrainConfig, request: unknown): TuneConfig {
  const parsed = TuneRequestSchema.safeParse(request);
  if (!parsed.success) throw refused(issuesOf(parsed.error));
  const { search, scheduler, ...asked } = parsed.data;
  const { epochs } = base.train;
  const kinds = TuneConfigSchema.safeParse({
    search: withDefaults(search ?? (asked.numTrials > 1 ? 'tpe' : 'random'), searchDefaults(asked.numTrials)),
    scheduler: withDefaults(scheduler ?? (epochs > 1 ? 'asha' : 'none'), schedulerDefaults(epochs)),
  });
  if (!kinds.success) throw refused(issuesOf(kinds.error));
  const config: TuneConfig = { base, ...asked, ...kinds.data };
  const problems = [...tuneProblems(config), ...pathProblems(config), ...sizeProblems(config)];
  if (problems.length > 0) throw refused(problems);
  const contradictions = trialProblems(config);
  if (contradictions.length > 0) throw refused(contradictions);
  return config;
}

function withDefaults(asked: string | { kind: string }, defaults: Record<string, JsonObject>): unknown {
  const { kind, ...given } = typeof asked === 'string' ? { kind: asked } : asked;
  return { kind, ...defaults[kind], ...given };
}

/** More rungs than this in all, and a search's state would outgrow the messages that carry it. */
const MAX_RUNGS = 20_000;

function sizeProblems({ base, scheduler, numTrials }: TuneConfig): string[] {
  if (scheduler.kind !== 'medianStop' && scheduler.kind !== 'pbt') return [];
  const pauses = Math.ceil(base.train.epochs / scheduler.every);
  if (numTrials * pauses <= MAX_RUNGS) return [];
  return [
    `scheduler.every: expected at most ${MAX_RUNGS} pauses in all, got ${numTrials} trials x ${pauses}. Raise it.`,
  ];
}

function issuesOf(error: z.ZodError): string[] {
  return error.issues.map(({ path, message }) => `${path.join('.') || 'the description'}: ${message}.`);
}

function refused(problems: readonly string[]): LookalikeError {
  return new LookalikeError('invalidInput', `The search is not usable.\n${problems.join('\n')}`);
}
