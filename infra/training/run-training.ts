import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainProgress } from '../../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import { TENSORFLOW_ENV } from '../compute/tensorflow.ts';
import { childEnv } from '../config/env.ts';
import type { Config } from '../config/env.ts';
import type { TrainEvent, TrainRequest } from './protocol.ts';

/** How long a cancelled run may take to end by itself; its last checkpoint is durable already. */
const ABORT_GRACE_MS = 2_000;

export interface RunTrainingOptions {
  config: Config;
  input: TrainInput;
  signal?: AbortSignal;
  onProgress?: (progress: TrainProgress) => void;
}

/**
 * Trains in a child process and waits for its model. The child ends with its parent, or within two seconds of an abort.
 * @throws LookalikeError what the child threw; `cancelled` on abort; `unavailable` when the child died (a retry resumes)
 */
export async function runTraining({ config, input, signal, onProgress }: RunTrainingOptions): Promise<TrainOutput> {
  if (signal?.aborted) throw cancelled();
  const entry = fileURLToPath(new URL(`./train-process${extname(import.meta.url)}`, import.meta.url));
  const child = fork(entry, { env: childEnv(TENSORFLOW_ENV), stdio: ['ignore', 2, 2, 'ipc'] });
  const send = (request: TrainRequest): void => {
    if (child.connected) child.send(request);
  };
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    send({ type: 'abort' });
    killer = setTimeout(() => child.kill('SIGKILL'), ABORT_GRACE_MS);
  };
  signal?.addEventListener('abort', stop, { once: true });
  try {
    return await new Promise<TrainOutput>((resolve, reject) => {
      let ended: TrainEvent | undefined;
      child.on('message', (event: TrainEvent) => {
        if (event.type === 'progress') onProgress?.(event.progress);
        else {
          ended = event;
          child.disconnect();
        }
      });
      child.once('error', reject);
      child.once('exit', (code, killedBy) => {
        if (ended?.type === 'done') resolve(ended.output);
        else if (ended?.type === 'failed') reject(rebuilt(ended));
        else if (signal?.aborted) reject(cancelled());
        else
          reject(
            new LookalikeError('unavailable', `The training process ended early (${killedBy ?? `exit ${code}`}).`),
          );
      });
      send({ type: 'start', config, input });
    });
  } finally {
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
  }
}

function rebuilt({ code, message, details }: Extract<TrainEvent, { type: 'failed' }>): Error {
  return code === null ? new Error(message) : new LookalikeError(code, message, details);
}

function cancelled(): LookalikeError {
  return new LookalikeError('cancelled', 'Training was cancelled.');
}
