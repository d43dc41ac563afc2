import { setTimeout as delay } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';
import { errorMessage } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { connectionSettings } from './connection.ts';

export interface WorkerConnection {
  connection: NativeConnection;
  namespace: string;
}

/**
 * A worker's connection. Waits for Temporal as long as it takes, saying so, until `signal` ends it: workers and server start in
 * any order. Once made, the connection survives restarts of the server.
 */
export async function connectWorker(
  config: Pick<Config, 'temporal'>,
  logger: Logger,
  signal?: AbortSignal,
): Promise<WorkerConnection> {
  const { options, namespace } = await connectionSettings(config);
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    try {
      const connection = await NativeConnection.connect(options);
      return { connection, namespace };
    } catch (error) {
      const waitMs = Math.min(5000, 250 * 2 ** attempt);
      logger.warn({ address: options.address, why: errorMessage(error), waitMs }, 'Temporal does not answer; waiting');
      await delay(waitMs, undefined, { signal });
    }
  }
}
