import type { PartRole, StageOutput, TrainingStage } from '../../../contracts/data-parallel.ts';
import { FIRST_STAGE } from '../../../contracts/data-parallel.ts';
import { isLookalikeError } from '../../../contracts/errors.ts';
import type { StagePartProgress } from '../../../contracts/model-parallel.ts';
import { runParameterShard } from '../../../infra/training/run-parameter-shard.ts';
import { runReplica } from '../../../infra/training/run-replica.ts';
import { runStagePart } from '../../../infra/training/run-stage-part.ts';
import { trainersOf } from './workshop.ts';
import type { Workshop } from './workshop.ts';

/** Entries of the parts' processes. */
export const ENTRIES: Record<PartRole, string> = {
  replica: 'replica-process',
  parameters: 'parameter-shard-process',
  stage: 'stage-part-process',
};

export interface Part {
  role: PartRole;
  index: number;
  pid: number;
  attempt: number;
}

export interface SpreadOptions {
  /** Of each step that the lead tells of, with the processes as they are now. */
  onStep?: (step: number, parts: readonly Part[]) => void;
  /** Why parts were lost. */
  onLost?: (part: Part, code: string, message: string) => void;
  /** What parts of a model tell of themselves. */
  onPart?: (progress: StagePartProgress) => void;
  /** Ends the run: all parts are called off. */
  signal?: AbortSignal;
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
  { onStep, onLost, onPart, signal: outer }: SpreadOptions,
): Promise<StageOutput> {
  const over = new AbortController();
  const signal = outer === undefined ? over.signal : AbortSignal.any([over.signal, outer]);
  const run = `test/${stage.kind}`;
  const living = new Set<Part>();

  async function keep<T>(role: Part['role'], index: number, start: (attempt: number) => Promise<T>): Promise<T> {
    const entry = ENTRIES[role];
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
        onLost?.(part, error.code, error.message);
      } finally {
        living.delete(part);
      }
    }
  }

  const step = (index: number, progress: { step: number }): void => {
    if (index === 0) onStep?.(progress.step, [...living]);
  };
  const { dataParallel, modelParallel } = train.config;
  const numParts = modelParallel === undefined ? 0 : modelParallel.stages + modelParallel.classifierParts - 1;
  const stages = Array.from({ length: numParts }, (_, index) =>
    keep('stage', index, (attempt) =>
      runStagePart({
        ...{ config, input: { run, stage, train, index }, attempt, signal },
        onProgress(progress) {
          onPart?.(progress);
          step(index, progress);
        },
      }),
    ),
  );
  const exchange = dataParallel?.exchange;
  const numShards = exchange?.kind === 'parameterServer' ? exchange.shards : 0;
  const shards = Array.from({ length: numShards }, (_, shard) =>
    keep('parameters', shard, (attempt) =>
      runParameterShard({ config, input: { run, stage, train, shard }, attempt, signal }),
    ),
  );
  const ranks = Array.from({ length: dataParallel?.replicas ?? 0 }, (_, rank) =>
    keep('replica', rank, (attempt) =>
      runReplica({
        ...{ config, input: { run, stage, train, rank }, attempt, signal },
        onProgress: (progress) => step(rank, progress),
      }),
    ),
  );
  const all = [...shards, ...ranks, ...stages];
  const lead = [...ranks, ...stages][0]!;
  const settled = Promise.allSettled(all);
  try {
    const ended = await Promise.race([lead, Promise.all(all).then(() => lead)]);
    return ended!;
  } finally {
    over.abort();
    await settled;
  }
}
