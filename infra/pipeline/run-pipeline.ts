import type { ChildProcess } from 'node:child_process';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { LookalikeError } from '../../contracts/errors.ts';
import { TENSORFLOW_ENV } from '../compute/tensorflow.ts';
import { childEnv } from '../config/env.ts';
import { limitMemory } from './memory-limit.ts';
import type { PipelineJob, StageConfig, StageEvent, StageReport, StageRequest } from './protocol.ts';

export interface RunPipelineOptions {
  config: StageConfig;
  job: PipelineJob;
  /** Sets the keys of the links apart from those of other runs. */
  run: string;
  /** What each stage may allocate beyond the loaded runtime; the kernel sees to it. */
  memoryBytes?: number;
  signal?: AbortSignal;
  onStep?: (step: number, loss: number) => void;
  /** Told when all processes are up, before any of them holds a part of the model. */
  onStart?: (pids: number[]) => void;
}

export interface PipelineOutcome {
  losses: number[];
  /** When each step's loss was known, milliseconds from the start of the first step. */
  lossAtMs: number[];
  stages: StageReport[];
}

/**
 * Trains a model in one process per stage, linked directly; only losses and figures come here. All of them end with this process, and
 * when one ends early, so do the others.
 * @throws LookalikeError what a stage threw; `unavailable` when one died; `cancelled`
 */
export async function runPipeline(options: RunPipelineOptions): Promise<PipelineOutcome> {
  const { config, job, run, memoryBytes, signal, onStep, onStart } = options;
  if (signal?.aborted) throw cancelled();
  const stages = Array.from({ length: job.pipeline.numStages }, (_, stage) => new Child(stage, memoryBytes));
  const abort = (): void => stages.forEach((each) => each.fail(cancelled()));
  signal?.addEventListener('abort', abort, { once: true });
  const outcome: PipelineOutcome = { losses: [], lossAtMs: [], stages: [] };
  try {
    const failed = Promise.race(stages.map(({ failure }) => failure));
    const all = <T>(work: (child: Child, stage: number) => Promise<T>): Promise<T[]> =>
      Promise.race([Promise.all(stages.map(work)), failed]);

    stages.forEach((child, stage) => child.send({ type: 'load', config, job, stage, run }));
    const loaded = await all((child) => child.event('loaded'));
    if (memoryBytes !== undefined) await all((child) => limitMemory(child.pid, memoryBytes));
    onStart?.(stages.map(({ pid }) => pid));
    const since = performance.now();
    stages.at(-1)!.onStep = (step, loss) => {
      outcome.losses.push(loss);
      outcome.lossAtMs.push(performance.now() - since);
      onStep?.(step, loss);
    };
    stages.forEach((child, stage) => child.send({ type: 'run', previousUrl: loaded[stage - 1]?.url ?? null }));
    outcome.stages = (await all((child) => child.event('done'))).map(({ report }) => report);
    return outcome;
  } finally {
    signal?.removeEventListener('abort', abort);
    await Promise.all(stages.map((each) => each.end()));
  }
}

/** A stage's process. Invariant: `failure` rejects, once, when it ends or fails before it was told to end. */
class Child {
  readonly failure: Promise<never>;
  readonly pid: number;
  fail: (error: Error) => void = () => undefined;
  onStep: (step: number, loss: number) => void = () => undefined;
  readonly #process: ChildProcess;
  readonly #waiting = new Map<StageEvent['type'], (event: StageEvent) => void>();

  constructor(stage: number, memoryBytes: number | undefined) {
    const entry = fileURLToPath(new URL(`./stage-process${extname(import.meta.url)}`, import.meta.url));
    const child = fork(entry, { env: childEnv(TENSORFLOW_ENV), stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    this.#process = child;
    this.pid = child.pid ?? 0;
    this.failure = new Promise((_, reject) => (this.fail = reject));
    this.failure.catch(() => undefined);
    let lastWords = '';
    child.stderr!.on('data', (text: Buffer) => (lastWords = (lastWords + text.toString()).slice(-2_000)));
    child.once('error', (error) => this.fail(error));
    child.once('exit', (code, killedBy) => this.fail(died(stage, killedBy ?? `exit ${code}`, memoryBytes, lastWords)));
    child.on('message', (event: StageEvent) => {
      if (event.type === 'step') this.onStep(event.step, event.loss);
      else if (event.type === 'failed') this.fail(rebuilt(event));
      else this.#waiting.get(event.type)?.(event);
    });
  }

  event<T extends StageEvent['type']>(type: T): Promise<Extract<StageEvent, { type: T }>> {
    return new Promise((resolve) => {
      this.#waiting.set(type, (event) => resolve(event as Extract<StageEvent, { type: T }>));
    });
  }

  send(request: StageRequest): void {
    if (this.#process.connected) this.#process.send(request);
  }

  /** Nothing of a stage outlives its run: what is worth keeping was told. */
  async end(): Promise<void> {
    this.fail(cancelled());
    const { exitCode, signalCode } = this.#process;
    if (exitCode !== null || signalCode !== null || this.#process.pid === undefined) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

function died(stage: number, how: string, memoryBytes: number | undefined, lastWords: string): LookalikeError {
  const limit = memoryBytes === undefined ? '' : ` It may allocate ${(memoryBytes / 1e6).toFixed(0)} MB.`;
  const line = lastWords
    .split('\n')
    .find((each) => /out of memory|bad_alloc|allocation failed|cannot allocate/i.test(each));
  return new LookalikeError(
    'unavailable',
    `Expected stage ${stage} of the pipeline to go on, but its process ended (${how}).${limit}${line === undefined ? '' : ` It said: ${line.trim()}`}`,
    { stage },
  );
}

function rebuilt({ code, message }: Extract<StageEvent, { type: 'failed' }>): Error {
  return code === null ? new Error(message) : new LookalikeError(code, message);
}

function cancelled(): LookalikeError {
  return new LookalikeError('cancelled', 'The pipeline was cancelled.');
}
