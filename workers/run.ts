import type { WorkerOptions } from '@temporalio/worker';
import type { Config } from '../infra/config/env.ts';
import { loadConfig } from '../infra/config/env.ts';
import { createLogger } from '../infra/log/logger.ts';
import type { Logger } from '../infra/log/logger.ts';
import { openStores } from '../infra/stores.ts';
import type { Stores } from '../infra/stores.ts';
import { installRuntime } from '../infra/temporal/runtime.ts';
import { connectWorker } from '../infra/temporal/worker-connection.ts';
import type { WorkerConnection } from '../infra/temporal/worker-connection.ts';
import { workerDefaults } from '../infra/temporal/worker-options.ts';
import { createWorkers } from './create-workers.ts';

export interface WorkerContext {
  config: Config;
  logger: Logger;
  stores: Stores;
  temporal: WorkerConnection;
  /** Aborted by SIGTERM or SIGINT. */
  signal: AbortSignal;
  /** For a failure outside the workers' own tasks that this process cannot outlive: ends it with exit code 1. */
  fail: (error: unknown) => void;
}

export interface WorkerParts {
  /** One worker per queue, each on top of the common options. */
  workers: (Pick<WorkerOptions, 'taskQueue'> & Partial<WorkerOptions>)[];
  /** Before polling ends: take this process out of the others' sight. */
  withdraw?: () => Promise<void>;
  /** After the last task. */
  close?: () => Promise<void>;
}

type Build = (context: WorkerContext) => Promise<WorkerParts> | WorkerParts;

/**
 * The life of a worker process: runs its workers until SIGTERM or SIGINT. A failure that the process cannot outlive ends it with
 * a non-zero exit code, for whoever supervises it to start it again.
 */
export async function runWorkerProcess(kind: string, build: Build): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config, kind);
  const stop = new AbortController();
  const fail = (error: unknown): void => {
    logger.fatal({ err: error }, 'worker failed');
    process.exitCode = 1;
    // Another worker of this process may still poll and would keep it alive; the log line above needs a moment to get out.
    setTimeout(() => process.exit(1), 500);
  };
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
  try {
    await installRuntime(config, logger);
    await runWorkers({ config, logger, signal: stop.signal, fail }, build);
    logger.info('worker stopped');
  } catch (error) {
    if (stop.signal.aborted && error instanceof Error && error.name === 'AbortError') return;
    fail(error);
  }
}

/**
 * Waits for Temporal, polls, drains once the signal is aborted. Whatever ends it, a failure at the start too, all that was opened
 * is closed, last first.
 */
export async function runWorkers(
  context: Pick<WorkerContext, 'config' | 'logger' | 'signal' | 'fail'>,
  build: Build,
): Promise<void> {
  const { config, logger, signal } = context;
  await using opened = new AsyncDisposableStack();
  const atEnd = (step: string, take?: () => Promise<void>): void =>
    opened.defer(() => inTurn(logger, { [step]: take }));

  const stores = await openStores(config, logger);
  atEnd('close the stores', () => stores.close());
  const temporal = await connectWorker(config, logger, signal);
  atEnd('close the connection to Temporal', () => temporal.connection.close());
  const parts = await build({ ...context, stores, temporal });
  atEnd('close', parts.close);
  atEnd('withdraw', parts.withdraw);
  const running = await createWorkers(
    parts.workers.map((options) => ({ ...workerDefaults, ...temporal, identity: config.workerName, ...options })),
  );
  const queues = parts.workers.map(({ taskQueue }) => taskQueue);
  const shutDown = async (): Promise<void> => {
    logger.info('draining');
    await inTurn(logger, { withdraw: parts.withdraw });
    for (const worker of running) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const runs = running.map((worker) => worker.run());
  logger.info({ queues, name: config.workerName }, 'worker polls');
  signal.addEventListener('abort', () => void shutDown(), { once: true });
  if (signal.aborted) await shutDown();
  await Promise.all(runs);
}

/** Takes every step of a shutdown in this order; one that fails (the registry is away) is logged and does not keep the rest. */
export async function inTurn(
  logger: Pick<Logger, 'error'>,
  steps: Record<string, (() => Promise<void>) | undefined>,
): Promise<void> {
  for (const [step, take] of Object.entries(steps)) {
    try {
      await take?.();
    } catch (error) {
      logger.error({ err: error, step }, 'a step of the shutdown failed');
    }
  }
}
