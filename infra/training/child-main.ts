import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import type { Stores } from '../stores.ts';
import type { ChildEvent, ChildRequest } from './protocol.ts';

/** Progress goes to the parent at most this often, but for news, which it hears of at once. */
const PROGRESS_EVERY_MS = 200;

export interface ChildWork<Input, Progress> {
  config: Config;
  stores: Stores;
  input: Input;
  attempt: number;
  logger: Logger;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

export interface ChildRole<Input, Output, Progress> {
  /** In the log. */
  name: string;
  /** Loads and does the work; what is heavy to load is loaded here, once the parent hears that the process lives. */
  work: (job: ChildWork<Input, Progress>) => Promise<Output>;
  isNews: (progress: Progress, told: Progress) => boolean;
}

/** The main program of a child process: one job, then the parent hangs up and it ends. */
export function serveParent<Input, Output, Progress>(role: ChildRole<Input, Output, Progress>): void {
  const tell = (event: ChildEvent<Output, Progress>): void => void process.send?.(event);
  const abort = new AbortController();
  new Worker(new URL(`./liveness-thread${extname(import.meta.url)}`, import.meta.url)).unref();
  // Nobody is left to tell: a training without its worker would compete with the one that replaces it.
  process.on('disconnect', () => process.exit(1));
  process.on('message', (request: ChildRequest<Input>) => {
    if (request.type === 'abort') abort.abort();
    else void run(role, request, abort.signal, tell);
  });
}

async function run<Input, Output, Progress>(
  { name, work, isNews }: ChildRole<Input, Output, Progress>,
  { config, input, attempt }: Extract<ChildRequest<Input>, { type: 'start' }>,
  signal: AbortSignal,
  tell: (event: ChildEvent<Output, Progress>) => void,
): Promise<void> {
  const [{ createLogger }, { openStores }] = await Promise.all([import('../log/logger.ts'), import('../stores.ts')]);
  const logger = createLogger(config, name);
  let told: { progress: Progress; at: number } | undefined;
  const onProgress = (progress: Progress): void => {
    const at = performance.now();
    if (told && at - told.at < PROGRESS_EVERY_MS && !isNews(progress, told.progress)) return;
    told = { progress, at };
    tell({ type: 'progress', progress });
  };
  try {
    const stores = await openStores(config, logger);
    try {
      tell({ type: 'done', output: await work({ config, stores, input, attempt, logger, signal, onProgress }) });
    } finally {
      await stores.close();
    }
  } catch (error) {
    const known = isLookalikeError(error) ? error : null;
    if (known === null) logger.error({ err: error }, `${name} failed`);
    tell({ type: 'failed', code: known?.code ?? null, message: errorMessage(error), details: known?.details ?? {} });
  }
}
