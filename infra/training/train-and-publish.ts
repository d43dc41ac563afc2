import type { Derivation } from '../../contracts/artifacts.ts';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainProgress } from '../../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import { splitSnapshot } from '../../lib/train/split.ts';
import type { Split } from '../../lib/train/split.ts';
import { trainHead } from '../../lib/train/train-head.ts';
import type { StepReport } from '../../lib/train/train-head.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import type { Logger } from '../log/logger.ts';
import { openEmbeddings } from '../embeddings/read-embeddings.ts';
import { ensurePretrained, publishHeadModel } from '../models/publish-head-model.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import { readSnapshotRows } from '../snapshot/read-snapshot.ts';
import type { Stores } from '../stores.ts';
import { loadCachedFeatures } from './cached-features.ts';
import { checkpointsOf } from './checkpoints.ts';
import { readableOf, trainingDataOf, whyUntrained } from './training-data.ts';

/** Real pictures of the catalogue on which the exported head is compared with tfjs. */
const NUM_CHECK_IMAGES = 4;

export interface TrainJob {
  config: Config;
  stores: Stores;
  input: TrainInput;
  logger: Logger;
  signal: AbortSignal;
  onProgress: (progress: TrainProgress) => void;
}

/** What decides a trained model; its checkpoints are kept under it too. */
export function trainingDerivation({ snapshot, features, backbone, config }: TrainInput, judged?: string): Derivation {
  const inputs = { snapshot, features, backbone, ...(judged !== undefined && { judged }) };
  return { kind: 'model', inputs, config: { ...config }, seed: config.seed };
}

/**
 * One training run from artefacts to artefact: finds the finished model, else resumes at the newest readable checkpoint, trains,
 * exports and publishes. Where items had to be withheld to judge by, the judged model is followed by one that learns from all of
 * them with the same settings; it names the judged one among its inputs. Equal inputs give equal artefacts, however often the
 * run was interrupted. Where nothing can be learnt or judged, it is the untrained model, with the reason.
 * @throws LookalikeError `invalidInput` when no item's picture can be read
 */
export async function trainAndPublish(job: TrainJob): Promise<TrainOutput> {
  const { input, stores } = job;
  const rows = await readSnapshotRows(stores, input.snapshot);
  const split = splitSnapshot(rows);
  const derivation = trainingDerivation(input);
  const why = whyUntrained(split) ?? (await whyUnreadable(job, split, derivation));
  if (why !== null) return untrained(job, rows, why);
  const judged = await train(job, split, derivation);
  if (split.withheld.length === 0) return judged;
  const { metrics } = judged;
  const { config } = input;
  // What early stopping found is kept; there is nothing left to stop by.
  const epochs = config.patience === 0 ? config.epochs : metrics['bestEpoch']! + 1;
  const all: Split = { train: [...split.train, ...split.withheld], queries: [], catalogue: [], withheld: [] };
  const whole = { ...job, input: { ...input, config: { ...config, epochs, patience: 0 } } };
  const final = await train(whole, all, trainingDerivation(whole.input, judged.model));
  return { ...final, metrics: { ...final.metrics, validationRecallAt1: metrics['validationRecallAt1']! } };
}

/** Which pictures can be read matters until a model is there. */
async function whyUnreadable(
  { stores, input }: TrainJob,
  split: Split,
  derivation: Derivation,
): Promise<string | null> {
  if ((await stores.artifacts.find(derivation)) !== undefined) return null;
  await using features = await openEmbeddings(stores, input.features);
  return whyUntrained(readableOf(split, new Set(features.images)));
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

async function train(job: TrainJob, split: Split, derivation: Derivation): Promise<TrainOutput> {
  const { stores, input, logger, signal } = job;
  const { features, backbone, config } = input;
  const checkpoints = checkpointsOf(
    { artifacts: stores.artifacts, checkpoints: stores.registry.checkpoints },
    derivation,
  );
  const found = await stores.artifacts.find(derivation);
  if (found !== undefined) {
    // The run that published it may have died before it said so.
    await checkpoints.forget();
    return { model: found.id, reused: true, metrics: numbersOf(found.manifest.metrics) };
  }

  const { tf, backend, tried } = await loadTensorFlow(job.config);
  logger.info({ backend, tried }, 'training backend');
  const cached = await loadCachedFeatures(stores.artifacts, features);
  const data = trainingDataOf(readableOf(split, cached.rowOf), cached);
  const resumed = await checkpoints.latest((reason) => logger.warn({ reason }, 'a checkpoint is not readable'));
  if (resumed) logger.info({ step: resumed.state.step, checkpoint: resumed.artifact }, 'training resumes');

  let checkpoint = resumed?.artifact ?? null;
  const startedAt = performance.now();
  const firstStep = resumed?.state.step ?? 0;
  const tell = (report: StepReport): Promise<void> => {
    const seconds = (performance.now() - startedAt) / 1000;
    const batch = Math.min(config.labelsPerBatch, data.numLabels) * config.samplesPerLabel;
    job.onProgress({
      ...report,
      recallByEpoch: [...report.recallByEpoch],
      numEpochs: config.epochs,
      samplesPerSecond: Math.round(((report.step - firstStep) * batch) / seconds),
      backend,
      checkpoint,
    });
    // A step blocks this process; between two, messages and the abort get their turn.
    return new Promise((resolve) => setImmediate(resolve));
  };
  const head = await trainHead(tf, data, config, resumed?.state, {
    signal,
    onStep: tell,
    onCheckpoint: async (state) => {
      checkpoint = await checkpoints.save(state);
    },
  });

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

function numbersOf(metrics: Record<string, unknown>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(metrics).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
