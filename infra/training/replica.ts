import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplicaInput, ReplicaProgress, StageOutput } from '../../contracts/data-parallel.ts';
import type { TrainConfig, TrainProgress } from '../../contracts/training.ts';
import { headLayout, planOf } from '../../lib/train/data-parallel-plan.ts';
import { HeadProgram } from '../../lib/train/head-program.ts';
import { Lead } from '../../lib/train/lead.ts';
import type { ReplicaOptions } from '../../lib/train/session.ts';
import type { StepReport } from '../../lib/train/train-head.ts';
import { trainReplica } from '../../lib/train/train-replica.ts';
import type { ChildWork } from './child-main.ts';
import { createConnector } from './exchange.ts';
import { ExchangeMeter } from './exchange-meter.ts';
import { loadStageData } from './load-stage-data.ts';
import type { StageData } from './load-stage-data.ts';
import { prepareStage } from './prepare-stage.ts';
import { createProgressOf } from './step-progress.ts';
import { trainStage } from './train-stage.ts';

/** Shards are asked how they go at most this often. */
const ASK_EVERY_MS = 1_000;

type ReplicaJob = ChildWork<ReplicaInput, ReplicaProgress>;

/** Rank 0 leads and gives what the stage ends in; the others follow until they are aborted, or have nothing to do. */
export function workAsReplica(job: ReplicaJob): Promise<StageOutput | null> {
  return job.input.rank === 0 ? lead(job) : follow(job);
}

function lead(job: ReplicaJob): Promise<StageOutput> {
  const { stage, train } = job.input;
  const teller = createTeller(job);
  return trainStage({ ...job, input: train, onProgress: teller.tell }, stage, {
    share: 1 / planOf(train.config).numSlices,
    async train(loaded, config, from, { signal, onStep, onCheckpoint }) {
      const program = new HeadProgram(loaded.tf, loaded.data, config);
      const plan = planOf(config);
      const leading = new Lead({ program, plan, ...(from && { from }), onCheckpoint });
      teller.tell(beforeSteps(program, loaded, from?.step ?? 0));
      const own = replicaOptions(job, config, program, teller);
      await trainReplica({ ...own, plan, lead: leading, signal, onStep: teller.after(onStep) });
      return leading.finish();
    },
  });
}

async function follow(job: ReplicaJob): Promise<null> {
  const { stores, input } = job;
  const { input: train, split, derivation, why } = await prepareStage(stores, input.train, input.stage);
  if (why !== null || (await stores.artifacts.find(derivation)) !== undefined) return null;
  const { config } = train;
  const plan = planOf(config);
  const teller = createTeller(job);
  const loaded = await loadStageData(job, train, split);
  const program = new HeadProgram(loaded.tf, loaded.data, config);
  teller.tell(beforeSteps(program, loaded, 0));
  const progressOf = createProgressOf(loaded, config, 1 / plan.numSlices);
  const onStep = teller.after((report) => {
    teller.tell(progressOf(report, null));
    return new Promise((resolve) => setImmediate(resolve));
  });
  await trainReplica({ ...replicaOptions(job, config, program, teller), plan, onStep });
  return null;
}

function replicaOptions(
  { config, stores, input: { run, rank }, attempt, logger, signal }: ReplicaJob,
  train: TrainConfig,
  program: HeadProgram,
  { meter, waiting }: Teller,
): Omit<ReplicaOptions, 'plan'> {
  const directory = stores.registry.training;
  const layout = headLayout(train, program.shape);
  const connect = createConnector({ config, run, rank, attempt, directory, logger }, train, layout);
  return {
    program,
    rank,
    signal,
    onWaiting: waiting,
    pause: (milliseconds, until) => sleep(milliseconds, undefined, until && { signal: until }),
    async connect(until) {
      const client = await connect(until);
      meter.connected(client);
      return client;
    },
  };
}

/** Turns frames of a training's progress into those of a replica. */
interface Teller {
  meter: ExchangeMeter;
  tell: (progress: TrainProgress) => void;
  waiting: (reason: string) => void;
  /** The hook for a step: counts it, asks now and then how the shards go, then lets `tellStep` tell. */
  after: (tellStep: (report: StepReport) => Promise<void> | void) => NonNullable<ReplicaOptions['onStep']>;
}

function createTeller({ input: { rank }, onProgress }: ReplicaJob): Teller {
  const meter = new ExchangeMeter();
  let last: TrainProgress | undefined;
  let askedAt = performance.now();
  const tell = (progress: TrainProgress, reason: string | null = null): void => {
    last = progress;
    onProgress({ ...progress, rank, waiting: reason, ...meter.read() });
  };
  return {
    meter,
    tell: (progress) => tell(progress),
    waiting: (reason) => last && tell(last, reason),
    after: (tellStep) => async (report, exchange) => {
      meter.stepped();
      if (performance.now() - askedAt > ASK_EVERY_MS) {
        askedAt = performance.now();
        meter.heard(await exchange.statistics());
      }
      await tellStep(report);
    },
  };
}

function beforeSteps(
  { config, numSteps, stepsPerEpoch }: HeadProgram,
  { backend }: StageData,
  step: number,
): TrainProgress {
  return {
    epoch: Math.floor(step / stepsPerEpoch),
    numEpochs: config.epochs,
    step,
    numSteps,
    loss: null,
    learningRate: 0,
    recallByEpoch: [],
    samplesPerSecond: 0,
    backend,
    checkpoint: null,
  };
}
