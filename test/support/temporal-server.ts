import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflowCode } from '@temporalio/worker';
import type { TestProject } from 'vitest/node';
import { loadConfig } from '../../infra/config/env.ts';
import { createLogger } from '../../infra/log/logger.ts';
import { findTemporal } from '../../infra/provision/temporal.ts';
import { dataConverter } from '../../infra/temporal/data-converter.ts';
import { startDevServer } from '../../infra/temporal/dev-server.ts';
import { workflowsPath } from '../../infra/temporal/workflow-code.ts';

declare module 'vitest' {
  interface ProvidedContext {
    temporalAddress: string;
    workflowBundlePath: string;
  }
}

/** One real Temporal server and one workflow bundle for all files of the tier. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-temporal-'));
  const config = loadConfig({
    LOOKALIKE_DATA_DIR: folder,
    LOOKALIKE_CACHE_DIR: process.env.LOOKALIKE_CACHE_DIR,
    LOOKALIKE_TEMPORAL_PORT: '0',
    LOOKALIKE_TEMPORAL_UI_PORT: '0',
  });
  const binary = process.env.TEMPORAL_CLI_PATH ?? (await findTemporal(config))?.path;
  if (binary === undefined) {
    throw new Error('Expected a Temporal CLI: put `temporal` on PATH, or name it in TEMPORAL_CLI_PATH.');
  }
  const server = await startDevServer({
    binary,
    config,
    dbFile: join(folder, 'temporal.db'),
    logger: createLogger({ logLevel: 'error' }, 'temporal'),
  });
  const bundle = await bundleWorkflowCode({ workflowsPath, ...dataConverter, logger: quiet });
  const bundlePath = join(folder, 'workflow-bundle.js');
  await writeFile(bundlePath, bundle.code);
  project.provide('temporalAddress', server.address);
  project.provide('workflowBundlePath', bundlePath);
  return async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

const ignore = (): void => undefined;
const quiet = { log: ignore, trace: ignore, debug: ignore, info: ignore, warn: ignore, error: console.error };
