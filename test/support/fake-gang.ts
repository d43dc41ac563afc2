import { Context, sleep } from '@temporalio/activity';
import type { ReplicaProgress, StageOutput, TrainingStage } from '../../contracts/data-parallel.ts';
import { partId } from '../../contracts/data-parallel.ts';
import type { StagePartProgress } from '../../contracts/model-parallel.ts';
import { createPartActivities, createTrainingRecordActivities } from '../../activities/train-spread.ts';
import type { PartDeps } from '../../activities/train-spread.ts';
import type { ParameterActivities, ReplicaActivities, TrainingRecordActivities } from '../../activities/interfaces.ts';
import type { Config } from '../../infra/config/env.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';

/** What the parts of fake trainings are told to do, and what became of them. */
export class FakeGang {
  host = 'trainer-1';
  /** Steps of each stage. Each takes all parts of the run at once: a missing one holds up the others. */
  numSteps = 5;
  /** Items were withheld: a second stage follows. */
  twoStages = false;
  /** What the next starts of a part end in, once all parts of its run live. */
  fates = new Map<string, (Error | 'silent')[]>();
  /** Holds every run at its last step. */
  held = false;
  /** `run` -> the parts that live now. */
  alive = new Map<string, Set<string>>();
  /** `run/part` in the order of starts. */
  starts: string[] = [];
  forgotten: string[] = [];
  /** `run` -> steps that were taken by all parts together. */
  steps = new Map<string, number>();

  numAlive(): number {
    return [...this.alive.values()].reduce((sum, parts) => sum + parts.size, 0);
  }

  startsOf(part: string): number {
    return this.starts.filter((start) => start.endsWith(`/${part}`)).length;
  }
}

const LEADS = ['replica-0', 'stage-0'];

/** The real adapters over parts that only count: a run steps while all its parts live at once. */
export function fakePartActivities(
  gang: FakeGang,
  trainHead: (input: TrainInput) => Promise<TrainOutput>,
): ReplicaActivities & ParameterActivities & TrainingRecordActivities {
  async function live(run: string, size: number, id: string, signal: AbortSignal, tell: (step: number) => void) {
    const parts = gang.alive.get(run) ?? new Set();
    gang.alive.set(run, parts.add(id));
    gang.starts.push(`${run}/${id}`);
    try {
      for (;;) {
        signal.throwIfAborted();
        const step = gang.steps.get(run) ?? 0;
        tell(step);
        const isComplete = parts.size === size;
        const fate = isComplete ? gang.fates.get(id)?.shift() : undefined;
        if (fate === 'silent') parts.delete(id);
        if (fate === 'silent') await silence();
        else if (fate !== undefined) throw fate;
        const last = gang.held ? gang.numSteps - 1 : gang.numSteps;
        if (isComplete && LEADS.includes(id) && step < last) gang.steps.set(run, step + 1);
        if (step >= gang.numSteps && (id.startsWith('replica') || LEADS.includes(id))) return;
        await sleep(10);
      }
    } finally {
      parts.delete(id);
    }
  }
  const sizeOf = ({ config: { dataParallel, modelParallel } }: TrainInput): number =>
    modelParallel === undefined
      ? dataParallel!.replicas + (dataParallel!.exchange as { shards: number }).shards
      : modelParallel.stages + modelParallel.classifierParts - 1;
  const ending = async (train: TrainInput, stage: TrainingStage): Promise<StageOutput> => {
    const next =
      stage.kind === 'judged' && gang.twoStages
        ? ({ kind: 'all', judged: 'model-judged', epochs: 1, validationRecallAt1: 0.5 } as const)
        : null;
    return { output: await trainHead(train), next };
  };

  const deps: PartDeps = {
    config: {
      get workerName() {
        return gang.host;
      },
    } as Config,
    async runReplica({ input: { run, rank, stage, train }, signal, onProgress }): Promise<StageOutput | null> {
      await live(run, sizeOf(train), partId('replica', rank), signal, (step) => onProgress(frame(gang, rank, step)));
      return rank > 0 ? null : ending(train, stage);
    },
    async runStagePart({ input: { run, index, stage, train }, signal, onProgress }): Promise<StageOutput | null> {
      const numStages = train.config.modelParallel!.stages;
      await live(run, sizeOf(train), partId('stage', index), signal, (step) =>
        onProgress(stageFrame(gang, index, index < numStages ? 'layers' : 'labels', step)),
      );
      return index > 0 ? null : ending(train, stage);
    },
    async runParameterShard({ input: { run, shard, train }, signal, onProgress }) {
      const { numSteps: _, ...progress } = { ...frame(gang, 0, 0), shard, numShards: 2, numParameters: 10 };
      await live(run, sizeOf(train), partId('parameters', shard), signal, (step) =>
        onProgress({ ...progress, incarnation: 1, step, numPushes: step }),
      );
    },
  };
  const forget = (run: string): Promise<void> => {
    gang.forgotten.push(run);
    return Promise.resolve();
  };
  return { ...createPartActivities(deps), ...createTrainingRecordActivities({ forget }) };
}

/** Of a process that is frozen, or gone without a word: nothing is heard of it until the activity is started elsewhere. */
async function silence(): Promise<never> {
  const context = Context.current();
  Object.defineProperty(context, 'heartbeat', { value: () => undefined });
  return context.cancelled;
}

function frame({ numSteps }: FakeGang, rank: number, step: number): ReplicaProgress {
  return {
    ...{ epoch: 0, numEpochs: 1, step, numSteps, loss: 1 / (step + 1 + rank), learningRate: 0.1, recallByEpoch: [] },
    ...{ samplesPerSecond: 10, backend: 'fake', checkpoint: null, rank, waiting: null, staleness: [step] },
    ...{ numDropped: 0, bytesPerStep: 80, waitShare: 0.5 },
  };
}

function stageFrame(gang: FakeGang, index: number, holds: string, step: number): StagePartProgress {
  const { rank: _, staleness: __, numDropped: ___, ...progress } = frame(gang, 0, step);
  return { ...progress, index, holds, numParameters: 10 };
}
