import type { Derivation } from '../../contracts/artifacts.ts';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import type { StageOutput, TrainingStage } from '../../contracts/data-parallel.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainConfig, TrainProgress } from '../../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import type { TrainedHead } from '../../lib/train/head-program.ts';
import type { StepReport, TrainHooks } from '../../lib/train/train-head.ts';
import type { TrainState } from '../../lib/train/train-state.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import type { Logger } from '../log/logger.ts';
import { ensurePretrained, publishHeadModel } from '../models/publish-head-model.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import type { Stores } from '../stores.ts';
import type { Config } from '../config/env.ts';
import { checkpointsOf } from './checkpoints.ts';
import { loadStageData } from './load-stage-data.ts';
import type { StageData } from './load-stage-data.ts';
import { prepareStage } from './prepare-stage.ts';
import type { PreparedStage } from './prepare-stage.ts';
import { createProgressOf } from './step-progress.ts';

/** Real pictures of the catalogue on which the exported head is compared with tfjs. */
const NUM_CHECK_IMAGES = 4;

/** How often a training looks whether its model is there already. */
const LOOK_EVERY_MS = 5_000;

export interface TrainJob {
  config: Config;
  stores: Stores;
  input: TrainInput;
  logger: Logger;
  signal: AbortSignal;
  onProgress: (progress: TrainProgress) => void;
}

/** How a head is learnt: everything else about a stage is the same for every strategy. */
export interface Strategy {
  /** Of each step, the share whose samples this process computes. */
  share: number;
  /** The head, or null where the run is paused with a checkpoint. */
  train: (
    loaded: StageData,
    config: TrainConfig,
    from: TrainState | undefined,
    hooks: Required<TrainHooks>,
  ) => Promise<TrainedHead | null>;
}

/** How a head is learnt whose state is in no memory as a whole: its checkpoints are its own affair. */
export interface PartsStrategy extends Pick<Strategy, 'share'> {
  trainParts: (
    loaded: StageData,
    config: TrainConfig,
    checkpoints: ReturnType<typeof checkpointsIn>,
    hooks: {
      signal: AbortSignal;
      /** With the newest durable checkpoint. */
      onStep: (report: StepReport, checkpoint: string | null) => Promise<void>;
    },
  ) => Promise<TrainedHead>;
}

/**
 * One stage from artefacts to artefact: finds the finished model, else resumes at the newest readable checkpoint, trains, exports
 * and publishes. While it trains it looks for the model again: an equal run may be first. Equal inputs give equal artefacts,
 * however often it was interrupted, in one process and where a training on several is exact (`DataParallelPlan.isExact`). Where
 * nothing can be learnt or judged, it is the untrained model, with the reason.
 * @throws LookalikeError `invalidInput` when no item's picture can be read
 */
export async function trainStage(
  job: TrainJob,
  stage: TrainingStage,
  strategy: Strategy | PartsStrategy,
): Promise<StageOutput> {
  const prepared = await prepareStage(job.stores, job.input, stage);
  const { rows, split, why } = prepared;
  if (why !== null) return { output: await untrained(job, rows, why), next: null };
  const output =
    (await foundModel(job.stores, prepared.derivation)) ?? (await trainUnlessFound(job, prepared, strategy));
  if (output === null) throw new Error('Expected a stage to be trained to its end, but it was paused.');
  const { metrics } = output;
  if (stage.kind === 'all') {
    const { validationRecallAt1 } = stage;
    return { output: { ...output, metrics: { ...metrics, validationRecallAt1 } }, next: null };
  }
  if (split.withheld.length === 0) return { output, next: null };
  const { config } = job.input;
  // What early stopping found is kept; there is nothing left to stop by.
  const epochs = config.patience === 0 ? config.epochs : metrics['bestEpoch']! + 1;
  const validationRecallAt1 = metrics['validationRecallAt1']!;
  return { output, next: { kind: 'all', judged: output.model, epochs, validationRecallAt1 } };
}

/** The untrained model, which serves any catalogue of which at least one item can be found. */
async function untrained(
  { stores, input, logger }: TrainJob,
  rows: readonly SnapshotRow[],
  why: string,
): Promise<TrainOutput> {
  await using features = await openEmbeddings(stores, input.features);
  const readable = new Set(features.images);
  const items = rows.filter(({ role }) => role === 'item');
  if (!items.some(({ image }) => readable.has(image))) {
    const first = features.rejected[0]?.reason.replace(/\.$/, '');
    throw new LookalikeError(
      'invalidInput',
      `Expected items whose pictures can be read, but none of ${items.length} can` +
        `${first === undefined ? '' : ` (for example: ${first})`}. Import items with pictures that can be decoded.`,
    );
  }
  logger.info({ why }, 'nothing is trained: the untrained model is taken');
  // An earlier step has made it, with the backbone.
  const { id } = await ensurePretrained(stores, input.backbone);
  return { model: id, reused: true, metrics: {}, untrained: why };
}

/** The model that an earlier run of the same derivation has published. */
export async function foundModel(stores: Stores, derivation: Derivation): Promise<TrainOutput | null> {
  const found = await stores.artifacts.find(derivation);
  if (found === undefined) return null;
  // The run that published it may have died before it said so.
  await checkpointsIn(stores, derivation).forget();
  return { model: found.id, reused: true, metrics: numbersOf(found.manifest.metrics) };
}

/**
 * Another run, or one that was taken for dead, may publish the model; parts of this run that see it then do nothing any more.
 * @param start a state to start from where there is no checkpoint
 * @returns null where the strategy has paused
 */
export async function trainUnlessFound(
  job: TrainJob,
  prepared: PreparedStage,
  strategy: Strategy | PartsStrategy,
  start?: TrainState,
): Promise<TrainOutput | null> {
  const { stores } = job;
  const { derivation } = prepared;
  const over = new AbortController();
  const look = async (): Promise<void> => {
    // A store that is away for a moment is asked again.
    const found = await stores.artifacts.find(derivation).catch(() => undefined);
    if (found !== undefined) over.abort();
  };
  const timer = setInterval(() => void look(), LOOK_EVERY_MS);
  try {
    return await train({ ...job, signal: AbortSignal.any([job.signal, over.signal]) }, prepared, strategy, start);
  } catch (error) {
    const found = over.signal.aborted && !job.signal.aborted ? await foundModel(stores, derivation) : null;
    if (found === null) throw error;
    return found;
  } finally {
    clearInterval(timer);
  }
}

async function train(
  job: TrainJob,
  { input, derivation, split }: PreparedStage,
  strategy: Strategy | PartsStrategy,
  start: TrainState | undefined,
): Promise<TrainOutput | null> {
  const { stores, logger, signal } = job;
  const { backbone, config } = input;
  const checkpoints = checkpointsIn(stores, derivation);
  const loaded = await loadStageData(job, input, split);
  const { tf, data } = loaded;
  const progressOf = createProgressOf(loaded, config, strategy.share);
  const onStep = (report: StepReport, checkpoint: string | null): Promise<void> => {
    job.onProgress(progressOf(report, checkpoint));
    // A step blocks this process; between two, messages and the abort get their turn.
    return new Promise((resolve) => setImmediate(resolve));
  };
  const fromState = async ({ train: learn }: Strategy): Promise<TrainedHead | null> => {
    const resumed = await checkpoints.latest((reason) => logger.warn({ reason }, 'a checkpoint is not readable'));
    if (resumed) logger.info({ step: resumed.state.step, checkpoint: resumed.artifact }, 'training resumes');
    let checkpoint = resumed?.artifact ?? null;
    return learn(loaded, config, resumed?.state ?? start, {
      signal,
      onStep: (report) => onStep(report, checkpoint),
      onCheckpoint: async (state) => {
        checkpoint = await checkpoints.save(state);
      },
    });
  };
  const head =
    'trainParts' in strategy
      ? await strategy.trainParts(loaded, config, checkpoints, { signal, onStep })
      : await fromState(strategy);
  if (head === null) return null;

  const backboneModel = await stores.artifacts.get(backbone);
  const checkImages = await Promise.all(
    [...new Set(split.train.map(({ image }) => image))]
      .slice(0, NUM_CHECK_IMAGES)
      .map((image) => stores.blobs.get(image)),
  );
  // Only what is the same in every run: a duration here would give equal models different names.
  const metrics = {
    ...(data.queryLabels.length > 0 && { validationRecallAt1: head.recall }),
    bestEpoch: head.bestEpoch,
    numEpochs: head.recallByEpoch.length,
    numLabels: data.numLabels,
    numPictures: data.labels.length,
    numQueries: data.queryLabels.length,
  };
  const published = await publishHeadModel({
    stores,
    tf,
    backbone: backboneModel,
    hidden: head.hidden,
    kernel: head.kernel,
    bias: head.bias,
    derivation,
    metrics: { ...metrics, recallByEpoch: head.recallByEpoch },
    name: `${modelSummaryOf(backboneModel).name} + projection ${config.dim}`,
    checkImages,
  });
  await checkpoints.forget();
  return { model: published.id, reused: false, metrics };
}

/** Where runs of a derivation keep their resume points. */
export function checkpointsIn({ artifacts, registry }: Stores, derivation: Derivation) {
  return checkpointsOf({ artifacts, checkpoints: registry.checkpoints }, derivation);
}

function numbersOf(metrics: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
