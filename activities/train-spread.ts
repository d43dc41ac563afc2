import { Context } from '@temporalio/activity';
import { PART_PLACED } from '../contracts/data-parallel.ts';
import type {
  ParameterShardInput,
  ParameterShardProgress,
  PartRole,
  PlacedPart,
  ReplicaInput,
  ReplicaProgress,
  StageOutput,
} from '../contracts/data-parallel.ts';
import { errorMessage } from '../contracts/errors.ts';
import type { StagePartInput, StagePartProgress } from '../contracts/model-parallel.ts';
import type { TrainingStore } from '../contracts/registry.ts';
import type { Config } from '../infra/config/env.ts';
import { beating, quick } from './heartbeat.ts';
import type { Beating } from './heartbeat.ts';
import type { ParameterActivities, ReplicaActivities, TrainingRecordActivities } from './interfaces.ts';
import { inFew } from './progress.ts';

interface PartRun<Input, Progress> {
  config: Config;
  input: Input;
  /** Grows with each start of this part: a later one stands above an earlier one that still runs. */
  attempt: number;
  signal: AbortSignal;
  onProgress: (progress: Progress) => void;
}

export interface PartDeps {
  config: Config;
  /** Computes in a child process until the stage is over. */
  runReplica: (run: PartRun<ReplicaInput, ReplicaProgress>) => Promise<StageOutput | null>;
  /** As `runReplica`, one part of a model that is cut. */
  runStagePart: (run: PartRun<StagePartInput, StagePartProgress>) => Promise<StageOutput | null>;
  /** Serves from a child process until the signal aborts. */
  runParameterShard: (run: PartRun<ParameterShardInput, ParameterShardProgress>) => Promise<void>;
}

/** The parts of a training on several processes. Their heartbeats carry their progress and the host. */
export function createPartActivities(deps: PartDeps): ReplicaActivities & ParameterActivities {
  const { config } = deps;
  const host = config.workerName;
  const attempt = (): number => Context.current().info.attempt;
  return {
    trainReplica: (input) =>
      beating((beat) => {
        takePlace(beat, { run: input.run, role: 'replica', index: input.rank, host });
        const onProgress = (progress: ReplicaProgress): void => beat.report({ ...inFew(progress), host });
        return deps.runReplica({ config, input, attempt: attempt(), signal: beat.signal, onProgress });
      }),

    trainStagePart: (input) =>
      beating((beat) => {
        takePlace(beat, { run: input.run, role: 'stage', index: input.index, host });
        const onProgress = (progress: StagePartProgress): void => beat.report({ ...inFew(progress), host });
        return deps.runStagePart({ config, input, attempt: attempt(), signal: beat.signal, onProgress });
      }),

    serveParameters: (input) =>
      beating(async (beat) => {
        takePlace(beat, { run: input.run, role: 'parameters', index: input.shard, host });
        const onProgress = (progress: ParameterShardProgress): void => beat.report({ ...progress, host });
        await deps.runParameterShard({ config, input, attempt: attempt(), signal: beat.signal, onProgress });
      }),
  };
}

/** What a part's run leaves in the registry. */
export function createTrainingRecordActivities(training: Pick<TrainingStore, 'forget'>): TrainingRecordActivities {
  return { forgetTraining: ({ run }) => quick(() => training.forget(run)) };
}

/** Tells the workflow where this part is, unless it was here before: starts over on one host do not lengthen the history. */
function takePlace({ last, report }: Beating, part: PlacedPart): void {
  const before = last as { host?: string } | null | undefined;
  report({ ...before, ...named(part.role, part.index), host: part.host });
  if (before?.host === part.host) return;
  const { client, info, log } = Context.current();
  const { workflowId, runId } = info.workflowExecution ?? {};
  if (workflowId === undefined) return;
  // For people only: the part works as well without, and a run that has just ended takes no signals.
  void client.workflow
    .getHandle(workflowId, runId)
    .signal(PART_PLACED, part)
    .catch((error: unknown) => {
      log.warn('The workflow did not hear where a part is', { why: errorMessage(error) });
    });
}

function named(role: PartRole, index: number): Record<string, number> {
  return { [{ replica: 'rank', parameters: 'shard', stage: 'index' }[role]]: index };
}
