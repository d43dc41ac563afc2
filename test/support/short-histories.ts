import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { Worker } from '@temporalio/worker';
import { loadConfig } from '../../infra/config/env.ts';
import { createLogger } from '../../infra/log/logger.ts';
import { findTemporal } from '../../infra/provision/temporal.ts';
import { dataConverter } from '../../infra/temporal/data-converter.ts';
import { startDevServer } from '../../infra/temporal/dev-server.ts';
import { bundled } from './temporal-env.ts';

type Event = temporal.api.history.v1.IHistoryEvent;

export interface Run {
  runId: string;
  events: Event[];
  /** What the run was started with, after the runs before it. */
  input: unknown;
}

/** A real server of its own that suggests to continue as new after `events` events instead of thousands. */
export async function startShortHistoryServer(
  events: number,
): Promise<{ address: string; close: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-short-'));
  const config = loadConfig({
    LOOKALIKE_DATA_DIR: folder,
    LOOKALIKE_CACHE_DIR: process.env.LOOKALIKE_CACHE_DIR,
    LOOKALIKE_TEMPORAL_PORT: '0',
    LOOKALIKE_TEMPORAL_UI_PORT: '0',
  });
  const real = process.env.TEMPORAL_CLI_PATH ?? (await findTemporal(config))?.path;
  if (real === undefined) throw new Error('Expected a Temporal CLI: put `temporal` on PATH, or name it.');
  const binary = join(folder, 'temporal');
  const limit = `--dynamic-config-value limit.historyCount.suggestContinueAsNew=${events}`;
  await writeFile(binary, `#!/bin/sh\nexec '${real}' "$@" ${limit}\n`, { mode: 0o755 });
  const logger = createLogger({ logLevel: 'error' }, 'temporal');
  const server = await startDevServer({ binary, config, dbFile: join(folder, 'temporal.db'), logger });
  return {
    address: server.address,
    async close() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** All runs of a workflow that continued as new, first to last. */
export async function runsOf(client: Client, workflowId: string): Promise<Run[]> {
  const runs: Run[] = [];
  let runId: string | undefined;
  do {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    const started = events?.[0]?.workflowExecutionStartedEventAttributes;
    if (!events || !started?.originalExecutionRunId) throw new Error(`Expected ${workflowId} to have a history.`);
    const payload = started.input?.payloads?.[0]?.data;
    const input: unknown = JSON.parse(Buffer.from(payload ?? '{}').toString('utf8'));
    runs.unshift({ runId: started.originalExecutionRunId, events, input });
    runId = started.continuedExecutionRunId ?? '';
  } while (runId !== '');
  return runs;
}

/**
 * Replays every run that has ended against the workflow code as it is.
 * @throws DeterminismViolationError
 */
export async function replayEnded(workflowId: string, runs: readonly Run[]): Promise<void> {
  for (const { events } of runs) {
    const last = events.at(-1);
    const hasEnded =
      last?.workflowExecutionContinuedAsNewEventAttributes ?? last?.workflowExecutionCanceledEventAttributes;
    if (hasEnded) await Worker.runReplayHistory({ ...bundled(), dataConverter }, { events }, workflowId);
  }
}
