import type { Command } from 'commander';
import { LookalikeError, errorMessage, isLookalikeError } from '../contracts/errors.ts';
import type { Config } from '../infra/config/env.ts';
import { loadConfig } from '../infra/config/env.ts';
import { createLogger } from '../infra/log/logger.ts';
import type { Logger } from '../infra/log/logger.ts';
import { configOfRunningStack } from '../infra/supervisor/run-state.ts';
import { openStores } from '../infra/stores.ts';
import type { Stores } from '../infra/stores.ts';
import { ProgressDisplay } from './progress.ts';

/** What every command gets. */
export interface CommandContext {
  /** As it is in the running stack, where there is one. */
  config: Config;
  /** As the environment says. */
  ownConfig: Config;
  json: boolean;
  logger: Logger;
  progress: ProgressDisplay;
  /** Aborted by the first Ctrl-C or SIGTERM. */
  signal: AbortSignal;
  /** Called at the second Ctrl-C, before the process ends. */
  onSecondInterrupt(handler: () => void): void;
  /** The result: as one line of JSON with --json, otherwise the text. */
  print(result: unknown, text: () => string): void;
}

type Handler<Options> = (context: CommandContext, options: Options, ...args: string[]) => Promise<void>;

/** Adds `--json` and the handler to a command; a failure becomes one line on stderr (or JSON) and the exit code. */
export function handles<Options extends object>(command: Command, handler: Handler<Options>): Command {
  return command.option('--json', 'print the result as JSON on stdout').action(async (...given: unknown[]) => {
    const options = given.at(-2) as Options & { json?: boolean };
    const args = given
      .slice(0, -2)
      .flat()
      .filter((arg) => arg !== undefined) as string[];
    await runHandler(options.json === true, (context) => handler(context, options, ...args));
  });
}

async function runHandler(json: boolean, handler: (context: CommandContext) => Promise<void>): Promise<void> {
  const interruption = listenForInterrupts();
  const progress = new ProgressDisplay(process.stderr);
  try {
    const ownConfig = loadConfig();
    await handler({
      config: configOfRunningStack(ownConfig),
      ownConfig,
      json,
      logger: createLogger(ownConfig, 'cli'),
      progress,
      signal: interruption.signal,
      onSecondInterrupt: interruption.onSecond,
      print: (result, text) => process.stdout.write(`${json ? JSON.stringify(result) : text()}\n`),
    });
  } catch (error) {
    progress.stop();
    reportFailure(interruption.signal.aborted && !isLookalikeError(error) ? interrupted(error) : error, json);
    process.exitCode = interruption.signal.aborted ? 130 : 1;
  } finally {
    progress.stop();
    interruption.release();
  }
}

/** What any library throws once the signal is aborted. */
function interrupted(cause: unknown): LookalikeError {
  return new LookalikeError('cancelled', 'Interrupted; the same command carries on.', {}, { cause });
}

/** One line for people, `{error}` for programs. */
export function reportFailure(error: unknown, json: boolean): void {
  const code = isLookalikeError(error) ? error.code : 'internal';
  const details = isLookalikeError(error) ? error.details : {};
  const message = errorMessage(error);
  if (json) process.stdout.write(`${JSON.stringify({ error: { code, message, details } })}\n`);
  process.stderr.write(`lookalike: ${message}\n`);
  if (code === 'internal' && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
}

function listenForInterrupts(): {
  signal: AbortSignal;
  onSecond: (handler: () => void) => void;
  release: () => void;
} {
  const controller = new AbortController();
  let second: () => void = () => undefined;
  const listener = (): void => {
    if (!controller.signal.aborted) {
      controller.abort();
      return;
    }
    second();
    process.exit(130);
  };
  const signals = ['SIGINT', 'SIGTERM'] as const;
  for (const name of signals) process.on(name, listener);
  return {
    signal: controller.signal,
    onSecond: (handler) => (second = handler),
    release: () => {
      for (const name of signals) process.off(name, listener);
    },
  };
}

/** Opens the stores for the time of `work`. */
export async function withStores<T>(context: CommandContext, work: (stores: Stores) => Promise<T>): Promise<T> {
  const stores = await openStores(context.config, context.logger);
  try {
    return await work(stores);
  } finally {
    await stores.close();
  }
}
