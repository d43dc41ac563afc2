import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { findTemporal } from '../provision/temporal.ts';
import { connectClient, ownsServer } from '../temporal/connection.ts';
import { startDevServer } from '../temporal/dev-server.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { launchNode } from './launch-node.ts';
import type { ManagedSpec } from './managed-process.ts';
import { claimPort } from './ports.ts';

/** How many processes of each kind of work. */
export interface WorkerCounts {
  orchestrator: number;
  trainer: number;
  embedder: number;
  searcher: number;
}

export const DEFAULT_COUNTS: WorkerCounts = { orchestrator: 1, trainer: 1, embedder: 1, searcher: 2 };

/**
 * Longest drain of each kind: what it does when asked to stop, plus room for a slow machine. A worker gives up its tasks after 8 s
 * (infra/temporal/worker-options.ts), a searcher answers for 4.5 s more. In order they add up to less than `lookalike down` waits.
 */
const GRACE_MS = { api: 10_000, worker: 15_000, temporal: 12_000 };

/** Ports of 0 replaced by free ones, each port checked. @throws LookalikeError `conflict` naming the setting to change */
export async function resolvePorts(config: Config): Promise<Config> {
  const apiPort = await claimPort(config.api.host, config.api.port, 'LOOKALIKE_PORT');
  if (!ownsServer(config)) return Object.freeze({ ...config, api: { ...config.api, port: apiPort } });
  const port = await claimPort('127.0.0.1', config.temporal.port, 'LOOKALIKE_TEMPORAL_PORT');
  const uiPort = await claimPort('127.0.0.1', config.temporal.uiPort, 'LOOKALIKE_TEMPORAL_UI_PORT');
  const isOwnUi = config.temporal.uiUrl === `http://127.0.0.1:${config.temporal.uiPort}`;
  const uiUrl = isOwnUi ? `http://127.0.0.1:${uiPort}` : config.temporal.uiUrl;
  const temporal = { ...config.temporal, port, uiPort, uiUrl };
  return Object.freeze({ ...config, api: { ...config.api, port: apiPort }, temporal });
}

const logOf = (config: Config, name: string): string => join(config.dataDir, 'logs', `${name}.log`);

/** The installation's own Temporal server. */
export function temporalSpec(config: Config, logger: Logger): ManagedSpec {
  const dbFile = join(config.dataDir, 'temporal', 'temporal.db');
  return {
    name: 'temporal',
    kind: 'temporal',
    log: `${dbFile}.log`,
    graceMs: GRACE_MS.temporal,
    async launch(onSpawn) {
      const found = await findTemporal(config);
      if (found === undefined) {
        throw new LookalikeError(
          'missingDependency',
          'Expected a Temporal server binary, found none. Run `lookalike up`.',
        );
      }
      const server = await startDevServer({ binary: found.path, config, dbFile, logger, onSpawn });
      return {
        pid: server.pid,
        exited: server.exited.then((code) => (code === null ? 'a signal' : `exit code ${code}`)),
      };
    },
  };
}

/** All worker processes, then the API: the order they start in. */
export function nodeSpecs(config: Config, counts: WorkerCounts): { workers: ManagedSpec[]; api: ManagedSpec } {
  const kinds = ['orchestrator', 'trainer', 'embedder', 'searcher'] as const;
  const rows = kinds.flatMap((kind) =>
    Array.from({ length: counts[kind] }, (_, i) => ({ kind, name: `${kind}-${i + 1}`, entry: `workers/${kind}` })),
  );
  const specOf = (kind: ManagedSpec['kind'], name: string, entry: string, index: number): ManagedSpec => {
    const log = logOf(config, name);
    const env = environment(config, name, index);
    const graceMs = kind === 'api' ? GRACE_MS.api : GRACE_MS.worker;
    return { name, kind, log, graceMs, launch: () => launchNode({ entry, env, log }) };
  };
  return {
    workers: rows.map(({ kind, name, entry }, i) => specOf(kind, name, entry, i + 1)),
    api: specOf('api', 'api', 'api/main', 0),
  };
}

export const guardianLog = (config: Config): string => logOf(config, 'guardian');

/** What a child must know that the environment does not say: chosen ports, its name, absolute folders. */
function environment(config: Config, name: string, index: number): Record<string, string> {
  return {
    LOOKALIKE_DATA_DIR: config.dataDir,
    LOOKALIKE_CACHE_DIR: config.cacheDir,
    LOOKALIKE_WORKER_NAME: name,
    LOOKALIKE_PORT: String(config.api.port),
    LOOKALIKE_TEMPORAL_PORT: String(config.temporal.port),
    LOOKALIKE_TEMPORAL_UI_PORT: String(config.temporal.uiPort),
    TEMPORAL_UI_URL: config.temporal.uiUrl,
    LOOKALIKE_DATA_PLANE_TOKEN: config.dataPlane.token,
    // One endpoint per process: the configured port is the API's, the workers' follow.
    LOOKALIKE_METRICS_PORT: String(config.metricsPort === 0 ? 0 : config.metricsPort + index),
  };
}

/** The address people and logs see. */
export function temporalAddress(config: Config): string {
  if (ownsServer(config)) return `127.0.0.1:${config.temporal.port}`;
  return config.temporal.address ?? `profile ${config.temporal.profile}`;
}

export async function withClient<T>(config: Config, work: (client: Client) => Promise<T>): Promise<T> {
  const client = await connectClient(config);
  try {
    return await work(client);
  } finally {
    await client.connection.close();
  }
}
