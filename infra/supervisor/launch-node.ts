import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import { dirname, extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError } from '../../contracts/errors.ts';
import { childEnv } from '../config/env.ts';
import type { LaunchedProcess } from './managed-process.ts';

/** A log larger than this is set aside as `<name>.log.1` when its process starts. */
const LOG_LIMIT_BYTES = 20 * 1024 * 1024;

/** An entry point of this project, `workers/trainer` for one: source beside source, built beside built. */
export function entryPoint(name: string): string {
  return fileURLToPath(new URL(`../../${name}${extname(import.meta.url)}`, import.meta.url));
}

/** Opens a log for appending, setting a large one aside. The caller closes the descriptor. */
export function openLog(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  if (existsSync(path) && statSync(path).size > LOG_LIMIT_BYTES) renameSync(path, `${path}.1`);
  return openSync(path, 'a');
}

/**
 * Starts a Node process of this project, output to its log. It leads a process group of its own: a Ctrl-C in the terminal
 * reaches the supervisor only, which then stops processes in the right order.
 */
export async function launchNode(options: {
  entry: string;
  env: Record<string, string>;
  log: string;
}): Promise<LaunchedProcess> {
  const path = entryPoint(options.entry);
  if (!existsSync(path)) {
    throw new LookalikeError('missingDependency', `Expected ${path}, found no such file. Run \`npm run build\`.`);
  }
  const log = openLog(options.log);
  try {
    const child = spawn(process.execPath, ['--enable-source-maps', path], {
      detached: true,
      env: childEnv(options.env),
      stdio: ['ignore', log, log],
    });
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `signal ${signal}`));
    });
    if (child.pid === undefined) throw new LookalikeError('unavailable', `Could not start ${path}: ${await exited}.`);
    return { pid: child.pid, exited };
  } finally {
    closeSync(log);
  }
}
