import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { LookalikeError } from '../../contracts/errors.ts';
import { SEARCH_ATTRIBUTES } from '../../contracts/search-attributes.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { claimPort } from '../supervisor/ports.ts';

export interface DevServer {
  /** `host:port` of the gRPC front end. */
  address: string;
  uiUrl: string;
  pid: number;
  /** Resolves with the exit code when the server ends, whoever ended it. */
  exited: Promise<number | null>;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
/** Measured: ready within seconds, also after a kill; a minute covers a machine that is busy with other things. */
const READY_MS = 60_000;
/** SQLite closes within a second; after this the server is killed, which it survives. */
const STOP_MS = 10_000;

/**
 * How the server is run. The stock flags add 50 ms to every step (a poll limit meant for clusters) and lose seconds to
 * partitions with few pollers; write-ahead logging halves fan-outs. Priorities, fairness and the worker list are off by default.
 * @param dbFile where workflows survive a restart
 */
export function devServerArgs(
  { temporal }: Pick<Config, 'temporal'>,
  dbFile: string,
  ports: { port: number; uiPort: number } = temporal,
): string[] {
  const dynamic = {
    'history.transferProcessorMaxPollRPS': 2000,
    'history.timerProcessorMaxPollRPS': 2000,
    // Room for clocks of several servers to differ; by default every retry and timer comes a second late for it.
    'history.timerProcessorMaxTimeShift': '"50ms"',
    'matching.numTaskqueueReadPartitions': 1,
    'matching.numTaskqueueWritePartitions': 1,
    'matching.useNewMatcher': true,
    'matching.enableFairness': true,
    'frontend.WorkerHeartbeatsEnabled': true,
    'frontend.ListWorkersEnabled': true,
  };
  return [
    ...['server', 'start-dev', '--ip', HOST, '--port', String(ports.port), '--ui-port', String(ports.uiPort)],
    ...['--db-filename', dbFile, '--log-format', 'json', '--log-level', 'error'],
    ...(temporal.namespace === 'default' ? [] : ['--namespace', temporal.namespace]),
    ...Object.entries(dynamic).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${value}`]),
    ...['--sqlite-pragma', 'journal_mode=wal', '--sqlite-pragma', 'synchronous=1'],
    ...Object.values(SEARCH_ATTRIBUTES).flatMap((name) => ['--search-attribute', `${name}=Keyword`]),
  ];
}

/**
 * Starts the installation's own Temporal server and waits until it answers. Port 0 takes any free one. It runs in a process
 * group of its own: Ctrl-C reaches the caller, which stops workers first.
 * @param options.onSpawn called with the process number before the server is ready, for whoever must not lose sight of it
 * @throws LookalikeError `conflict` a port is taken | `unavailable` it does not come up
 */
export async function startDevServer(options: {
  binary: string;
  config: Pick<Config, 'temporal'>;
  dbFile: string;
  logger: Logger;
  onSpawn?: (pid: number) => void;
}): Promise<DevServer> {
  const { binary, config, dbFile, logger, onSpawn } = options;
  const port = await claimPort(HOST, config.temporal.port, 'LOOKALIKE_TEMPORAL_PORT');
  const uiPort = await claimPort(HOST, config.temporal.uiPort, 'LOOKALIKE_TEMPORAL_UI_PORT');
  mkdirSync(dirname(dbFile), { recursive: true });
  const logFile = `${dbFile}.log`;
  // A file, not a pipe: a server whose starter was killed must not die of its next line.
  const log = openSync(logFile, 'w');
  const child = spawn(binary, devServerArgs(config, dbFile, { port, uiPort }), {
    stdio: ['ignore', log, log],
    detached: true,
  });
  closeSync(log);
  logger.debug({ pid: child.pid, port, uiPort, logFile }, 'temporal server started');
  const exited = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  const gone = new AbortController();
  void exited.then(() => gone.abort());
  if (child.pid !== undefined) onSpawn?.(child.pid);
  const address = `${HOST}:${port}`;
  const ended = await Promise.race([exited.then(() => true), untilReady(address, gone.signal).then(() => false)]).catch(
    async (error: unknown) => {
      await stop(child, exited);
      throw new LookalikeError(
        'unavailable',
        `Temporal did not come up in ${READY_MS / 1000} s: ${lastWords(logFile)}`,
        {},
        { cause: error },
      );
    },
  );
  if (ended || child.pid === undefined) {
    throw new LookalikeError(
      'unavailable',
      `Expected ${binary} to serve ${address}, but it ended. It said: ${lastWords(logFile) || 'nothing'}. ` +
        `If its database ${dbFile} is in use, stop the other server first (\`lookalike down\`).`,
    );
  }
  return { address, uiUrl: `http://${HOST}:${uiPort}`, pid: child.pid, exited, stop: () => stop(child, exited) };
}

/** Also returns when there is no server left to wait for. */
async function untilReady(address: string, gone: AbortSignal): Promise<void> {
  const until = Date.now() + READY_MS;
  while (!gone.aborted) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 1000 });
      try {
        await connection.workflowService.describeNamespace({ namespace: 'default' });
        return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (Date.now() > until) throw error;
      await delay(50);
    }
  }
}

async function stop(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  child.kill('SIGTERM');
  const stopped = await Promise.race([exited.then(() => true), delay(STOP_MS, false, { ref: false })]);
  if (!stopped) child.kill('SIGKILL');
  await exited;
}

function lastWords(logFile: string): string {
  return readFileSync(logFile, 'utf8').slice(-2000).trim();
}
