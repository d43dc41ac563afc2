import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import { childEnv } from '../config/env.ts';
import { throwIfCancelled } from './progress.ts';

export interface CommandOptions {
  /** Takes all output, appended after the command line itself. */
  logFile: string;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
  /** Called with each piece of output, stdout and stderr mixed. */
  onOutput?: (text: string) => void;
  /** Gives up after this long. */
  timeoutMs?: number;
}

/** How much of the log an error quotes. */
const QUOTED_LINES = 6;

/**
 * Runs a long command to its end, quietly: its output goes to a log file, whose last lines an error quotes.
 * Cancelling kills the command and everything it started.
 * @returns all output
 * @throws LookalikeError `missingDependency` no such command | `unavailable` it failed | `timeout` | `cancelled`
 */
export async function runCommand(command: string, args: string[], options: CommandOptions): Promise<string> {
  throwIfCancelled(options.signal);
  mkdirSync(dirname(options.logFile), { recursive: true });
  const log = openSync(options.logFile, 'a');
  const shown = [command, ...args].join(' ');
  try {
    writeSync(log, `$ ${shown}\n`);
    const { ending, output } = await finished(command, args, options, (text) => writeSync(log, text));
    if (ending === null) return output;
    const code = ending.code;
    const tail = output.trimEnd().split('\n').slice(-QUOTED_LINES).join('\n');
    const quoted = tail === '' ? '' : ` The end of ${options.logFile}:\n${tail}`;
    throw new LookalikeError(code, `Expected \`${shown}\` to succeed, ${ending.reason}.${quoted}`);
  } finally {
    closeSync(log);
  }
}

interface Ending {
  code: 'missingDependency' | 'unavailable' | 'timeout' | 'cancelled';
  reason: string;
}

function finished(
  command: string,
  args: string[],
  options: CommandOptions,
  write: (text: string) => void,
): Promise<{ ending: Ending | null; output: string }> {
  return new Promise((resolve) => {
    const output: string[] = [];
    // Its own process group, so that compilers started by a build tool die with it.
    const child = spawn(command, args, {
      cwd: options.cwd,
      env: options.env ?? childEnv({}),
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: process.platform !== 'win32',
    });
    let stopped: Ending | undefined;
    const kill = (): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(process.platform === 'win32' ? child.pid : -child.pid, 'SIGKILL');
      } catch {
        // It ended by itself a moment ago.
      }
    };
    const stop = (why: Ending): void => {
      stopped ??= why;
      kill();
    };
    const onAbort = (): void =>
      stop({ code: 'cancelled', reason: `it was stopped: ${errorMessage(options.signal?.reason)}` });
    const timer =
      options.timeoutMs === undefined
        ? undefined
        : setTimeout(
            () => stop({ code: 'timeout', reason: `it took over ${options.timeoutMs} ms` }),
            options.timeoutMs,
          );
    const settle = (ending: Ending | null): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', onAbort);
      process.removeListener('exit', kill);
      resolve({ ending: stopped ?? ending, output: output.join('') });
    };
    options.signal?.addEventListener('abort', onAbort, { once: true });
    process.once('exit', kill);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output.push(text);
        write(text);
        options.onOutput?.(text);
      });
    }
    child.once('error', (error: NodeJS.ErrnoException) => {
      settle(
        error.code === 'ENOENT'
          ? { code: 'missingDependency', reason: `there is no \`${command}\`` }
          : { code: 'unavailable', reason: error.message },
      );
    });
    child.once('close', (code, signal) => {
      settle(code === 0 ? null : { code: 'unavailable', reason: `it ended with ${signal ?? `exit code ${code}`}` });
    });
  });
}
