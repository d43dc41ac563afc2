import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError } from '../../contracts/errors.ts';
import { TENSORFLOW_ENV } from '../compute/tensorflow.ts';
import { childEnv } from '../config/env.ts';
import type { Config } from '../config/env.ts';
import { LIVENESS_FD } from './protocol.ts';
import type { ChildEvent, ChildRequest } from './protocol.ts';

/** How long a cancelled child may take to end by itself; what it had to keep is durable already. */
const ABORT_GRACE_MS = 2_000;

/** Looks without a sign of life, one a second, after which a child is taken for frozen; and before its first, while it loads. */
const MAX_SILENT_LOOKS = 5;
const MAX_SILENT_LOOKS_AT_START = 60;

export interface ChildJob<Input, Progress> {
  config: Config;
  input: Input;
  /** Grows with each start of the same work. Default: 0. */
  attempt?: number;
  signal?: AbortSignal;
  onProgress?: (progress: Progress) => void;
}

/**
 * Works in a child process and waits for what it makes. The child ends with its parent, within two seconds of an abort, and when
 * it is frozen for five.
 * @param entry file of this folder, without its extension
 * @throws LookalikeError what the child threw; `cancelled` on abort; `unavailable` when the child died or froze (a retry resumes)
 */
export async function runChild<Input, Output, Progress>(
  entry: string,
  { config, input, attempt = 0, signal, onProgress }: ChildJob<Input, Progress>,
): Promise<Output> {
  if (signal?.aborted) throw cancelled();
  const path = fileURLToPath(new URL(`./${entry}${extname(import.meta.url)}`, import.meta.url));
  const child = fork(path, { env: childEnv(TENSORFLOW_ENV), stdio: ['ignore', 2, 2, 'ipc', 'pipe'] });
  const send = (request: ChildRequest<Input>): void => {
    if (child.connected) child.send(request);
  };
  let killer: NodeJS.Timeout | undefined;
  const stop = (): void => {
    send({ type: 'abort' });
    killer = setTimeout(() => child.kill('SIGKILL'), ABORT_GRACE_MS);
  };
  signal?.addEventListener('abort', stop, { once: true });
  const watch = watchLife(child);
  try {
    return await new Promise<Output>((resolve, reject) => {
      let ended: ChildEvent<Output, Progress> | undefined;
      child.on('message', (event: ChildEvent<Output, Progress>) => {
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
        else {
          const how = watch.isFrozen() ? 'it was frozen' : (killedBy ?? `exit ${code}`);
          reject(new LookalikeError('unavailable', `The training process ended early (${how}).`));
        }
      });
      send({ type: 'start', config, input, attempt });
    });
  } finally {
    // It has not exited where it could not be started or spoken to.
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    watch.end();
    clearTimeout(killer);
    signal?.removeEventListener('abort', stop);
  }
}

/** Kills a child that shows no sign of life. Looks are counted, not time: while this process was frozen itself it saw nothing. */
function watchLife(child: ChildProcess): { isFrozen: () => boolean; end: () => void } {
  let numSilent = 0;
  let most = MAX_SILENT_LOOKS_AT_START;
  let isFrozen = false;
  const pipe = child.stdio[LIVENESS_FD];
  pipe?.on('data', () => {
    numSilent = 0;
    most = MAX_SILENT_LOOKS;
  });
  // A killed child's end of the pipe breaks.
  pipe?.on('error', () => undefined);
  const timer = setInterval(() => {
    if (++numSilent <= most) return;
    isFrozen = true;
    child.kill('SIGKILL');
  }, 1_000);
  return {
    isFrozen: () => isFrozen,
    end: () => {
      clearInterval(timer);
      pipe?.destroy();
    },
  };
}

function rebuilt({ code, message, details }: { code: string | null; message: string; details: object }): Error {
  return code === null
    ? new Error(message)
    : new LookalikeError(code as LookalikeError['code'], message, details as LookalikeError['details']);
}

function cancelled(): LookalikeError {
  return new LookalikeError('cancelled', 'Training was cancelled.');
}
