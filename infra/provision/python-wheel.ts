import { readdirSync, statSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import { childEnv } from '../config/env.ts';
import { expectSha256, logFile } from './cache.ts';
import type { ProvisionOptions, ProvisionReport } from './progress.ts';
import { runCommand } from './run-command.ts';

/** One exact file of the Python package index. */
export interface PinnedWheel {
  /** `name==version`. */
  requirement: string;
  sha256: string;
  sizeBytes: number;
  /** Chooses a wheel made for another Python or platform than the one that runs pip. */
  target?: { platform: string; pythonVersion: string };
}

/**
 * Downloads a wheel with pip, without its dependencies, and checks it. pip runs as a plain downloader: nothing of the
 * wheel is executed or installed, and pip's own configuration (mirrors, proxies) applies.
 * @returns the wheel's path in `folder`
 * @throws LookalikeError `missingDependency` no Python with pip | `unavailable` | `corruptArtifact` | `cancelled`
 */
export async function downloadWheel(
  config: Pick<Config, 'cacheDir'>,
  what: string,
  wheel: PinnedWheel,
  folder: string,
  report: ProvisionReport,
  options: ProvisionOptions = {},
): Promise<string> {
  const temporary = join(folder, 'pip');
  await mkdir(temporary, { recursive: true });
  const detail = `${wheel.requirement} (${Math.round(wheel.sizeBytes / 1e6)} MB) with pip`;
  const tell = (): void => {
    // pip's own bar is made for terminals; the growth of its files says the same for every version of pip.
    const fraction = Math.min(1, Math.max(sizeOf(folder), sizeOf(temporary)) / wheel.sizeBytes);
    report({ what, phase: 'download', detail, fraction });
  };
  tell();
  const timer = setInterval(tell, 250);
  const target =
    wheel.target === undefined
      ? []
      : ['--only-binary=:all:', '--platform', wheel.target.platform, '--python-version', wheel.target.pythonVersion];
  const args = [
    '-m',
    'pip',
    'download',
    '--no-deps',
    '--no-input',
    '--disable-pip-version-check',
    '--progress-bar=off',
  ];
  try {
    await runCommand('python3', [...args, ...target, '--dest', folder, wheel.requirement], {
      logFile: logFile(config, what),
      env: { ...(options.env ?? childEnv({})), TMPDIR: temporary },
      signal: options.signal,
    });
  } finally {
    clearInterval(timer);
  }
  const name = (await readdir(folder)).find((entry) => entry.endsWith('.whl'));
  if (name === undefined) {
    throw new LookalikeError('unavailable', `Expected pip to download a wheel of ${wheel.requirement}, it left none.`);
  }
  const path = join(folder, name);
  await expectSha256(path, wheel.sha256);
  return path;
}

/** Bytes in a folder, two levels deep; files that vanish meanwhile count nothing. */
function sizeOf(folder: string, depth = 2): number {
  try {
    return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return sum + (depth > 0 ? sizeOf(path, depth - 1) : 0);
      return sum + statSync(path).size;
    }, 0);
  } catch {
    return 0;
  }
}
