import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config/env.ts';
import { isAlive } from './process-identity.ts';

const Identity = z.object({ pid: z.number().int(), startToken: z.string() });

const ProcessRow = z.object({
  name: z.string(),
  kind: z.enum(['temporal', 'orchestrator', 'trainer', 'embedder', 'searcher', 'api', 'guardian']),
  status: z.enum(['starting', 'running', 'waiting', 'stopping', 'stopped']),
  process: Identity.nullable(),
  numRestarts: z.number().int(),
  log: z.string(),
});

const RunState = z.object({
  formatVersion: z.literal(1),
  supervisor: Identity,
  status: z.enum(['starting', 'ready', 'stopping']),
  /** What it does now, for people. */
  phase: z.string(),
  ports: z.object({ api: z.number(), temporal: z.number(), temporalUi: z.number() }),
  temporalAddress: z.string(),
  urls: z.object({
    api: z.string(),
    page: z.string(),
    openapi: z.string(),
    temporalUi: z.string(),
  }),
  processes: z.array(ProcessRow),
});

/** One process of the stack as `lookalike status` shows it. */
export type ProcessRow = z.output<typeof ProcessRow>;
/** What stands in `run.json` while a stack of this data directory runs, and what a killed one leaves behind. */
export type RunState = z.output<typeof RunState>;

type DataDir = Pick<Config, 'dataDir'>;

export const runStatePath = (config: DataDir): string => join(config.dataDir, 'run.json');

/** Replaces the file in one step: a reader sees the old or the new state, never half of one. */
export function writeRunState(config: DataDir, state: RunState): void {
  const path = runStatePath(config);
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(draft, path);
}

export function removeRunState(config: DataDir): void {
  rmSync(runStatePath(config), { force: true });
}

/** What was written last; undefined when there is none or another version wrote it. */
export function readRunState(config: DataDir): RunState | undefined {
  let text: string;
  try {
    text = readFileSync(runStatePath(config), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const parsed = RunState.safeParse(parseJson(text));
  return parsed.success ? parsed.data : undefined;
}

/** The state of a stack whose supervisor lives now. */
export function runningState(config: DataDir): RunState | undefined {
  const state = readRunState(config);
  return state !== undefined && isAlive(state.supervisor) ? state : undefined;
}

/**
 * The configuration as it is in the running stack of this data directory: ports that were chosen when it started stand in
 * for those of the environment. Without a running stack, the configuration as it is.
 */
export function configOfRunningStack(config: Config): Config {
  const state = runningState(config);
  if (state === undefined) return config;
  return Object.freeze({
    ...config,
    api: { ...config.api, port: state.ports.api },
    temporal: {
      ...config.temporal,
      port: state.ports.temporal,
      uiPort: state.ports.temporalUi,
      uiUrl: state.urls.temporalUi,
    },
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
