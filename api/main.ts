import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { lineagesOf } from '../infra/artifacts/lineage.ts';
import { createCalibrations } from '../infra/calibration/calibrations.ts';
import { loadConfig } from '../infra/config/env.ts';
import type { Config } from '../infra/config/env.ts';
import { createEmbedClient } from '../infra/data-plane/embed-client.ts';
import { fetchImage } from '../infra/fetch/fetch-image.ts';
import { createLogger } from '../infra/log/logger.ts';
import type { Logger } from '../infra/log/logger.ts';
import { createRouter } from '../infra/router/router.ts';
import { createSimilarReader } from '../infra/similar/similar-reader.ts';
import { openStores } from '../infra/stores.ts';
import { lazyClient } from '../infra/temporal/connection.ts';
import { createDeviceModels } from '../infra/variants/device-models.ts';
import { createApp } from './app.ts';
import { temporalSwitcher } from './generations/temporal-switcher.ts';
import { Lifecycle } from './health/lifecycle.service.ts';
import { temporalScheduler } from './schedules/temporal-scheduler.ts';
import { routerSearcher } from './search/router-searcher.ts';
import { DEFAULT_LIMITS, authFor } from './settings.ts';
import type { ApiLimits } from './settings.ts';
import { temporalSimilarStarter } from './similar/temporal-similar-starter.ts';
import { recipes } from './training/recipes.ts';
import { temporalRetrainer } from './training/temporal-retrainer.ts';
import { temporalTuner } from './tuning/temporal-tuner.ts';

/** So long health says `shutting_down` while requests are still taken, for a balancer to notice. */
const NOTICE_MS = 500;
/** Requests under way may take this long to finish; the supervisor's patience is a little longer. */
const DRAIN_MS = 8_000;

export interface RunningApi {
  /** Base URL, with the port that was chosen. */
  url: string;
  /** Says so in health, drains, and closes everything. */
  close(): Promise<void>;
}

/**
 * Starts the API on the configured address. Needs the registry; neither Temporal nor any worker has to run yet.
 *
 * @throws LookalikeError `unavailable` when the registry does not answer; the system's error when the port is taken
 */
export async function start(config: Config, logger: Logger = createLogger(config, 'api')): Promise<RunningApi> {
  // A failure closes what was opened until then.
  await using opened = new AsyncDisposableStack();
  const stores = opened.adopt(await openStores(config, logger), (one) => one.close());
  const { routing } = stores.registry;
  const { token } = config.dataPlane;
  const router = opened.adopt(createRouter({ routing, token, logger }), (one) => one.close());
  const embedder = opened.adopt(createEmbedClient({ routing, token }), (one) => one.close());
  const similar = opened.adopt(createSimilarReader(stores), (one) => one.close());
  const temporal = opened.adopt(await lazyClient(config), ({ connection }) => connection.close());
  const { imageBytes: maxBytes, searchDeadlineMs: timeoutMs } = DEFAULT_LIMITS;
  const app = await createApp(
    {
      registry: stores.registry,
      blobs: stores.blobs,
      searcher: routerSearcher(router),
      embedder,
      fetchImage: (url, signal) => fetchImage(url, { allowedHosts: config.imageHosts, maxBytes, timeoutMs, signal }),
      retrainer: temporalRetrainer(temporal, config, recipes),
      switcher: temporalSwitcher(temporal, config, stores),
      tuner: temporalTuner(temporal, config, recipes),
      scheduler: temporalScheduler(temporal, config, recipes),
      similar,
      calibrations: createCalibrations(stores.artifacts),
      similarStarter: temporalSimilarStarter(temporal, config),
      lineage: (roots) => lineagesOf(stores.artifacts, roots),
      deviceModels: createDeviceModels(stores.artifacts),
      logger,
    },
    { auth: authFor(config.api), limits: limitsOf(config.api) },
  );
  opened.defer(() => drain(app));
  await app.listen(config.api.port, config.api.host);
  const url = urlOf(app);
  logger.info({ url, auth: authFor(config.api) }, 'the API answers');
  const running = opened.move();
  return {
    url,
    async close() {
      app.get(Lifecycle).beginShutdown();
      logger.info('draining');
      await delay(NOTICE_MS);
      await running.disposeAsync();
      logger.info('the API stopped');
    },
  };
}

function limitsOf({ requestsPerMinute, slowSearchMs, recallCheckMs }: Config['api']): Partial<ApiLimits> {
  return { requestsPerMinute, slowSearchMs, recallCheckMs };
}

async function drain(app: NestFastifyApplication): Promise<void> {
  const server = app.getHttpServer();
  const impatience = setTimeout(() => server.closeAllConnections(), DRAIN_MS);
  await app.close();
  clearTimeout(impatience);
}

function urlOf(app: NestFastifyApplication): string {
  const { address, family, port } = app.getHttpServer().address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

if (import.meta.main) {
  const config = loadConfig();
  const logger = createLogger(config, 'api');
  try {
    const api = await start(config, logger);
    const stop = new Promise<void>((resolve) => {
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => resolve());
    });
    await stop;
    await api.close();
  } catch (error) {
    logger.fatal({ err: error }, 'the API failed');
    process.exitCode = 1;
  }
}
