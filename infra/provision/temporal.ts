import { constants } from 'node:fs';
import { access, chmod, mkdir, readdir, rename, stat } from 'node:fs/promises';
import { delimiter, dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { childEnv } from '../config/env.ts';
import { logFile, withCacheLock, withScratch } from './cache.ts';
import { throwIfCancelled } from './progress.ts';
import type { ProvisionOptions, ProvisionReport } from './progress.ts';
import { runCommand } from './run-command.ts';

/** Newest release that `go install` accepts; the one the timeouts and flags of this project were measured on. */
export const TEMPORAL_CLI_VERSION = 'v1.5.1';
const GO_PACKAGE = `github.com/temporalio/cli/cmd/temporal@${TEMPORAL_CLI_VERSION}`;
/** Packages that `go install -v` names when nothing is cached: only for the progress bar. */
const NUM_GO_PACKAGES = 1297;
/** A download that is neither refused nor moving is blocked. */
const DOWNLOAD_STALL_MS = 20_000;

const what = 'temporal';
const executable = process.platform === 'win32' ? 'temporal.exe' : 'temporal';
type CacheConfig = Pick<Config, 'cacheDir'>;

export interface TemporalBinary {
  path: string;
  /** Where it came from, for people. */
  source: string;
}

interface Work {
  config: CacheConfig;
  scratch: string;
  report: ProvisionReport;
  options: ProvisionOptions;
}

/** Where the cache keeps the binary, whether or not it is there yet. */
export function temporalCachePath(config: CacheConfig): string {
  return join(config.cacheDir, `temporal-${TEMPORAL_CLI_VERSION}`, executable);
}

/**
 * The Temporal CLI, which carries the dev server: one on PATH that runs, the cache's, the SDK's download, or built with
 * Go, in this order.
 * @throws LookalikeError `missingDependency` no way worked | `cancelled`
 */
export async function provisionTemporal(
  config: CacheConfig,
  report: ProvisionReport,
  options: ProvisionOptions = {},
): Promise<TemporalBinary> {
  report({ what, phase: 'check', detail: 'looking for temporal', fraction: null });
  const found = await findTemporal(config, options);
  if (found !== undefined) {
    report({ what, phase: 'reused', detail: `${found.path} (${found.source})`, fraction: 1 });
    return found;
  }
  const path = temporalCachePath(config);
  const waiting = (): void =>
    report({ what, phase: 'check', detail: 'another process provides it; waiting', fraction: null });
  const provide = async (): Promise<TemporalBinary> => {
    if (await runs(config, path, options)) {
      report({ what, phase: 'reused', detail: path, fraction: 1 });
      return { path, source: 'cache' };
    }
    const source = await withScratch(config, what, (scratch) => obtain({ config, scratch, report, options }));
    report({ what, phase: 'done', detail: `${path} (${source})`, fraction: 1 });
    return { path, source };
  };
  return withCacheLock(config, what, options.signal, provide, waiting);
}

/** A working binary that is already here: on PATH, else in the cache. */
export async function findTemporal(
  config: CacheConfig,
  options: ProvisionOptions = {},
): Promise<TemporalBinary | undefined> {
  const searchPath = (options.env ?? childEnv({})).PATH ?? '';
  for (const folder of searchPath.split(delimiter).filter(Boolean)) {
    const path = join(folder, executable);
    if (await runs(config, path, options)) return { path, source: 'PATH' };
  }
  const cached = temporalCachePath(config);
  return (await runs(config, cached, options)) ? { path: cached, source: 'cache' } : undefined;
}

async function runs(config: CacheConfig, path: string, options: ProvisionOptions): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    const log = { logFile: logFile(config, what), env: options.env, signal: options.signal, timeoutMs: 30_000 };
    return (await runCommand(path, ['--version'], log)).includes('temporal version');
  } catch {
    throwIfCancelled(options.signal);
    return false;
  }
}

/** Tries each way; the first whose binary runs is renamed into the cache. */
async function obtain(work: Work): Promise<string> {
  const { config, options } = work;
  const reasons: string[] = [];
  for (const [source, way] of [
    ["the Temporal SDK's download", downloadWithSdk],
    ['go install', buildWithGo],
  ] as const) {
    try {
      const made = await way(work);
      if (!(await runs(config, made, options))) throw new Error(`${made} does not run`);
      const path = temporalCachePath(config);
      await mkdir(dirname(path), { recursive: true });
      await rename(made, path);
      return source;
    } catch (error) {
      throwIfCancelled(options.signal);
      reasons.push(`${source}: ${errorMessage(error)}`);
    }
  }
  throw new LookalikeError(
    'missingDependency',
    'Expected to find or obtain the Temporal CLI, could not. Put `temporal` on PATH, or install Go, or set ' +
      `TEMPORAL_ADDRESS to a running server.\n${reasons.join('\n')}`,
    { log: logFile(config, what) },
  );
}

async function downloadWithSdk({ config, scratch, report, options }: Work): Promise<string> {
  const detail = `Temporal CLI ${TEMPORAL_CLI_VERSION} with the SDK`;
  const folder = join(scratch, 'sdk');
  await mkdir(folder, { recursive: true });
  // The SDK has no timeout of its own: while the file grows all is well.
  const stalled = new AbortController();
  let seen = { bytes: 0, at: performance.now() };
  const watch = setInterval(() => {
    void sizeOf(folder).then((bytes) => {
      if (bytes > seen.bytes) seen = { bytes, at: performance.now() };
      else if (performance.now() - seen.at > DOWNLOAD_STALL_MS)
        stalled.abort(new Error(`nothing arrived for ${DOWNLOAD_STALL_MS / 1000} s`));
      report({ what, phase: 'download', detail: `${detail}, ${Math.round(bytes / 1e6)} MB`, fraction: null });
    });
  }, 500);
  report({ what, phase: 'download', detail, fraction: null });
  try {
    const self = fileURLToPath(import.meta.url);
    const child = join(dirname(self), `temporal-download${extname(self)}`);
    await runCommand(process.execPath, [child, folder, TEMPORAL_CLI_VERSION], {
      logFile: logFile(config, what),
      env: options.env,
      signal: options.signal ? AbortSignal.any([options.signal, stalled.signal]) : stalled.signal,
    });
  } finally {
    clearInterval(watch);
  }
  const [file] = await readdir(folder);
  if (file === undefined) throw new Error('the SDK left no file');
  const path = join(folder, file);
  await chmod(path, 0o755);
  return path;
}

async function sizeOf(folder: string): Promise<number> {
  const files = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(files.map((file) => stat(join(folder, file)).catch(() => ({ size: 0 }))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

async function buildWithGo({ config, scratch, report, options }: Work): Promise<string> {
  const bin = join(scratch, 'go');
  let numPackages = 0;
  const tell = (): void => {
    const detail = `Temporal CLI ${TEMPORAL_CLI_VERSION} with Go, ${numPackages} packages (minutes when none is cached)`;
    report({ what, phase: 'build', detail, fraction: Math.min(0.99, numPackages / NUM_GO_PACKAGES) });
  };
  tell();
  await runCommand('go', ['install', '-v', GO_PACKAGE], {
    logFile: logFile(config, what),
    env: { ...(options.env ?? childEnv({})), GOBIN: bin },
    signal: options.signal,
    onOutput: (text) => {
      numPackages += text.split('\n').filter((line) => line !== '' && !line.startsWith('go: ')).length;
      tell();
    },
  });
  return join(bin, executable);
}
