import { lookup } from 'node:dns/promises';
import { Runtime, makeTelemetryFilterString } from '@temporalio/worker';
import type { Logger as SdkLogger } from '@temporalio/worker';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';

/**
 * Sets up this process's Temporal runtime, once, before anything connects: its log goes to `logger`, its metrics to a Prometheus
 * endpoint when a port is configured. Signals stay with the process: workers are shut down by their composition root.
 */
export async function installRuntime(
  config: Pick<Config, 'metricsPort' | 'logLevel' | 'dataPlane'>,
  logger: Logger,
): Promise<void> {
  const verbose = config.logLevel === 'debug' || config.logLevel === 'trace';
  const bindAddress = config.metricsPort > 0 ? await metricsAddress(config) : null;
  Runtime.install({
    logger: sdkLogger(logger),
    shutdownSignals: [],
    telemetryOptions: {
      logging: {
        forward: {},
        filter: makeTelemetryFilterString({ core: verbose ? 'DEBUG' : 'WARN', other: 'ERROR' }),
      },
      ...(bindAddress !== null && {
        metrics: { prometheus: { bindAddress, useSecondsForDurations: true } },
      }),
    },
  });
}

/** Where the data plane is reached, the metrics are too. The core takes no names, only addresses. */
export async function metricsAddress(config: Pick<Config, 'metricsPort' | 'dataPlane'>): Promise<string> {
  const { address, family } = await lookup(config.dataPlane.host);
  return `${family === 6 ? `[${address}]` : address}:${config.metricsPort}`;
}

/** The SDK's logger on pino; its chatter at INFO (every activity's start) is our DEBUG. */
function sdkLogger(logger: Logger): SdkLogger {
  const write = (level: 'trace' | 'debug' | 'warn' | 'error') => (message: string, meta?: object) => {
    const { error, ...rest } = (meta ?? {}) as { error?: unknown };
    // Most of our workers run no workflows on purpose.
    const harmless = message.startsWith('No workflows registered');
    logger[harmless ? 'debug' : level]({ ...rest, ...(error !== undefined && { err: error }) }, message);
  };
  const log = {
    trace: write('trace'),
    debug: write('debug'),
    info: write('debug'),
    warn: write('warn'),
    error: write('error'),
  };
  return {
    ...log,
    log: (level, message, meta) => log[level.toLowerCase() as keyof typeof log](message, meta),
  };
}
