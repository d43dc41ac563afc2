import type { StageOutput, TrainingStage } from '../../../contracts/data-parallel.ts';
import { FIRST_STAGE } from '../../../contracts/data-parallel.ts';
import { isLookalikeError } from '../../../contracts/errors.ts';
import { runParameterShard } from '../../../infra/training/run-parameter-shard.ts';
import { runReplica } from '../../../infra/training/run-replica.ts';
import { trainersOf } from './workshop.ts';
import type { Workshop } from './workshop.ts';

export interface Part {
  role: 'replica' | 'parameters';
  index: number;
  pid: number;
  attempt: number;
}

export interface SpreadOptions {
  /** Of each step that the lead tells of, with the processes as they are now. */
  onStep?: (step: number, parts: readonly Part[]) => void;
  /** Why parts were lost. */
  onLost?: (part: Part, code: string) => void;
}

/** A whole training by processes that are started again when they are lost, as a workflow would. */
export async function trainSpread(workshop: Workshop, options: SpreadOptions = {}): Promise<StageOutput['output']> {
  for (let stage: TrainingStage = FIRST_STAGE; ;) {
    const { output, next } = await runStage(workshop, stage, options);
    if (next === null) return output;
    stage = next;
  }
}

async function runStage(
  { config, input: train }: Workshop,
  stage: TrainingStage,
  { onStep, onLost }: SpreadOptions,
): Promise<StageOutput> {
  const { replicas, exchange } = train.config.dataParallel!;
  const over = new AbortController();
  const { signal } = over;
  const run = `test/${stage.kind}`;
  const living = new Set<Part>();

  async function keep<T>(role: Part['role'], index: number, start: (attempt: number) => Promise<T>): Promise<T> {
    const entry = role === 'replica' ? 'replica-process' : 'parameter-shard-process';
    for (let attempt = 1; ; attempt++) {
      const before = new Set(trainersOf(process.pid, entry));
      const working = start(attempt);
      const pid = trainersOf(process.pid, entry).find((each) => !before.has(each))!;
      const part: Part = { role, index, pid, attempt };
      living.add(part);
      try {
        return await working;
      } catch (error) {
        if (!isLookalikeError(error) || !error.retryable) throw error;
        onLost?.(part, error.code);
      } finally {
        living.delete(part);
      }
    }
  }

  const numShards = exchange.kind === 'parameterServer' ? exchange.shards : 0;
  const shards = Array.from({ length: numShards }, (_, shard) =>
    keep('parameters', shard, (attempt) =>
      runParameterShard({ config, input: { run, stage, train, shard }, attempt, signal }),
    ),
  );
  const ranks = Array.from({ length: replicas }, (_, rank) =>
    keep('replica', rank, (attempt) =>
      runReplica({
        config,
        input: { run, stage, train, rank },
        attempt,
        signal,
        onProgress: ({ step }) => rank === 0 && onStep?.(step, [...living]),
      }),
    ),
  );
  const all = [...shards, ...ranks];
  const settled = Promise.allSettled(all);
  try {
    const ended = await Promise.race([ranks[0]!, Promise.all(all).then(() => ranks[0]!)]);
    return ended!;
  } finally {
    over.abort();
    await settled;
  }
}
