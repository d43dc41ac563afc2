import { Client, Connection } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker, makeTelemetryFilterString } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { pino } from 'pino';
import { inject } from 'vitest';
import { dataConverter } from '../../infra/temporal/data-converter.ts';
import { prepareNamespace } from '../../infra/temporal/namespace.ts';
import { workerDefaults } from '../../infra/temporal/worker-options.ts';

export interface RunningWorker {
  /** Drains and waits. */
  stop(): Promise<void>;
}

export interface TemporalEnv {
  client: Client;
  startWorker(
    options: Pick<WorkerOptions, 'taskQueue' | 'activities'> & Partial<WorkerOptions>,
  ): Promise<RunningWorker>;
  close(): Promise<void>;
}

let installed = false;

/** Once per file. Tests end workers and workflows in the middle of things; the core's warnings about that are expected. */
export function quietRuntime(): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    shutdownSignals: [],
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }) } },
  });
}

/** A namespace of its own per test file, so that the fixed queue names do not collide. */
export async function openTemporalEnv(title: string, address = inject('temporalAddress')): Promise<TemporalEnv> {
  quietRuntime();
  const namespace = `test-${title}-${process.pid}`;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, namespace, dataConverter });
  await prepareNamespace(client, pino({ level: 'silent' }));
  const running = new Set<RunningWorker>();

  async function startWorker(options: Parameters<TemporalEnv['startWorker']>[0]): Promise<RunningWorker> {
    const worker = await Worker.create({
      ...workerDefaults,
      shutdownGraceTime: 0,
      connection: native,
      namespace,
      maxCachedWorkflows: 50,
      ...options,
    });
    const run = worker.run();
    const handle: RunningWorker = {
      async stop() {
        if (!running.delete(handle)) return;
        worker.shutdown();
        await run;
      },
    };
    running.add(handle);
    return handle;
  }

  return {
    client,
    startWorker,
    async close() {
      await Promise.all([...running].map((worker) => worker.stop()));
      await native.close();
      await connection.close();
    },
  };
}

/** For the worker that runs the workflows. */
export function bundled(): Pick<WorkerOptions, 'workflowBundle'> {
  return { workflowBundle: { codePath: inject('workflowBundlePath') } };
}
