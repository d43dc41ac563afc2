/** Entry of the child process that trains: its own TensorFlow and memory, so that the worker stays responsive and survives it. */
import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import { createLogger } from '../log/logger.ts';
import { openStores } from '../stores.ts';
import type { TrainEvent, TrainRequest } from './protocol.ts';
import { trainAndPublish } from './train-and-publish.ts';

/** Progress goes to the parent at most this often, but for a new checkpoint and the end, which it hears of at once. */
const PROGRESS_EVERY_MS = 200;

const abort = new AbortController();
// Nobody is left to tell: a training without its worker would compete with the one that replaces it.
process.on('disconnect', () => process.exit(1));
process.on('message', (request: TrainRequest) => {
  if (request.type === 'abort') abort.abort();
  else void train(request);
});

async function train({ config, input }: Extract<TrainRequest, { type: 'start' }>): Promise<void> {
  const logger = createLogger(config, 'train');
  let told = 0;
  let toldCheckpoint: string | null = null;
  try {
    const stores = await openStores(config, logger);
    try {
      const output = await trainAndPublish({
        config,
        stores,
        input,
        logger,
        signal: abort.signal,
        onProgress: (progress) => {
          const now = performance.now();
          const isNews = progress.checkpoint !== toldCheckpoint || progress.step === progress.numSteps;
          if (now - told < PROGRESS_EVERY_MS && !isNews) return;
          told = now;
          toldCheckpoint = progress.checkpoint;
          tell({ type: 'progress', progress });
        },
      });
      tell({ type: 'done', output });
    } finally {
      await stores.close();
    }
  } catch (error) {
    const known = isLookalikeError(error) ? error : null;
    if (known === null) logger.error({ err: error }, 'training failed');
    tell({ type: 'failed', code: known?.code ?? null, message: errorMessage(error), details: known?.details ?? {} });
  }
}

function tell(event: TrainEvent): void {
  process.send?.(event);
}
