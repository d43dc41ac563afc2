import { spawn } from 'node:child_process';
import { closeSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { LookalikeError } from '../contracts/errors.ts';
import type { Config } from '../infra/config/env.ts';
import { childEnv } from '../infra/config/env.ts';
import { openLog } from '../infra/supervisor/launch-node.ts';
import { DEFAULT_COUNTS } from '../infra/supervisor/plan.ts';
import type { WorkerCounts } from '../infra/supervisor/plan.ts';
import { identify } from '../infra/supervisor/process-identity.ts';
import { runningState } from '../infra/supervisor/run-state.ts';
import type { RunState } from '../infra/supervisor/run-state.ts';
import { startStack } from '../infra/supervisor/stack.ts';
import { describeStack } from './describe-stack.ts';
import { LiveStatus } from './live-status.ts';
import { wholeNumber } from './options.ts';
import { handles } from './run-command.ts';
import type { CommandContext } from './run-command.ts';
import { stackReporter } from './stack-events.ts';

interface UpOptions {
  detach?: boolean;
  port?: number;
  trainers: number;
  embedders: number;
  searchers: number;
}

/** `up`: starts Temporal (unless one is configured), the workers and the API, and keeps them alive until Ctrl-C. */
export function addUpCommand(program: Command): void {
  const count = wholeNumber(1, 64);
  handles<UpOptions>(
    program
      .command('up')
      .description('start the stack here (Ctrl-C drains it) or, with --detach, in the background')
      .option('--detach', 'return once it is ready; `lookalike down` stops it')
      .option(
        '--port <port>',
        'port of the API; 0 takes any free one (default: LOOKALIKE_PORT or 7700)',
        wholeNumber(0, 65_535),
      )
      .option('--trainers <n>', 'training workers', count, DEFAULT_COUNTS.trainer)
      .option('--embedders <n>', 'embedding workers', count, DEFAULT_COUNTS.embedder)
      .option('--searchers <n>', 'index workers', count, DEFAULT_COUNTS.searcher),
    async (context, options) => {
      const config = withPort(context.ownConfig, options.port);
      if (options.detach) await upDetached(context, options);
      else await upHere(context, config, countsOf(options));
    },
  );
}

async function upHere(context: CommandContext, config: Config, counts: WorkerCounts): Promise<void> {
  const { progress, logger, signal } = context;
  const report = stackReporter(progress);
  let status: LiveStatus | null = null;
  const stack = await startStack({
    config,
    counts,
    logger,
    signal,
    onEvent: (event) => {
      status?.pause();
      report(event);
    },
  });
  context.onSecondInterrupt(() => stack.kill());
  progress.stop();
  context.print(stack.state(), () => describeStack(stack.state()));
  if (process.stderr.isTTY) status = new LiveStatus(process.stderr, () => stack.state());
  try {
    await untilAborted(signal);
  } finally {
    status?.stop();
    await stack.stop();
  }
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    // A timer keeps the process alive while nothing else does.
    const timer = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      resolve();
    });
  });
}

/** Starts `up` again as a process of its own and waits until that one is ready. */
async function upDetached(context: CommandContext, options: UpOptions): Promise<void> {
  const { ownConfig: config, progress, signal } = context;
  const running = runningState(config);
  if (running !== undefined) {
    throw new LookalikeError(
      'conflict',
      `Expected no running stack in ${config.dataDir}, found process ${running.supervisor.pid}. ` +
        'Run `lookalike status` to see it or `lookalike down` to stop it.',
      { pid: running.supervisor.pid },
    );
  }
  const logPath = join(config.dataDir, 'logs', 'supervisor.log');
  const log = openLog(logPath);
  writeFileSync(log, '');
  const mark = readFileSync(logPath).length;
  const flags = [
    ...['--trainers', options.trainers, '--embedders', options.embedders, '--searchers', options.searchers],
    ...(options.port === undefined ? [] : ['--port', options.port]),
  ].map(String);
  const entry = process.argv[1] ?? fileURLToPath(new URL('./main.js', import.meta.url));
  const child = spawn(process.execPath, [entry, 'up', ...flags], {
    detached: true,
    env: childEnv({}),
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = new Promise<'ended'>((resolve) => child.once('exit', () => resolve('ended')));
  const pid = child.pid ?? 0;
  const identity = identify(pid);
  const stop = (): void => void (identity && process.kill(pid, 'SIGTERM'));
  signal.addEventListener('abort', stop, { once: true });
  let shown = mark;
  const tail = (): void => {
    const bytes = readFileSync(logPath).subarray(shown);
    const whole = bytes.lastIndexOf(0x0a) + 1;
    if (whole === 0) return;
    shown += whole;
    progress.line(bytes.subarray(0, whole - 1).toString('utf8'));
  };
  for (;;) {
    const outcome = await Promise.race([ended, sleep(150, 'waiting' as const)]);
    tail();
    const state: RunState | undefined = runningState(config);
    if (state?.status === 'ready' && state.supervisor.pid === pid) {
      signal.removeEventListener('abort', stop);
      child.unref();
      context.print(state, () => describeStack(state));
      return;
    }
    if (outcome === 'ended') {
      throw new LookalikeError('unavailable', `Expected the stack to come up, but it ended. ${logPath} says why.`);
    }
  }
}

function countsOf(options: UpOptions): WorkerCounts {
  return {
    orchestrator: DEFAULT_COUNTS.orchestrator,
    trainer: options.trainers,
    embedder: options.embedders,
    searcher: options.searchers,
  };
}

function withPort(config: Config, port: number | undefined): Config {
  return port === undefined ? config : Object.freeze({ ...config, api: { ...config.api, port } });
}
