import { readFile, rm } from 'node:fs/promises';
import type { Artifact, Derivation } from '../../contracts/artifacts.ts';
import type { FinetuneInput, FinetuneOutput, FinetuneProgress } from '../../contracts/finetune.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { decodeModel, encodeModel } from '../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../lib/export/onnx-proto.ts';
import { expectNetwork, readUnits, withInputSize, withUnits } from '../../lib/finetune/backbone-graph.ts';
import { finetune } from '../../lib/finetune/finetune.ts';
import { cutBefore } from '../../lib/finetune/network.ts';
import { viewsOf } from '../../lib/finetune/parameters.ts';
import { FinetuneProgram } from '../../lib/finetune/program.ts';
import { PIXELS_VERSION } from '../../lib/images/preprocess.ts';
import { splitSnapshot } from '../../lib/train/split.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import { readSnapshotRows } from '../snapshot/read-snapshot.ts';
import type { ChildWork } from '../training/child-main.ts';
import { readableOf, whyUntrained } from '../training/training-data.ts';
import { checkTail } from './check-tail.ts';
import { finetuneCheckpoints } from './finetune-checkpoints.ts';
import { openFinetuneData } from './finetune-data.ts';

export type FinetuneJob = Omit<ChildWork<FinetuneInput, FinetuneProgress>, 'attempt'>;

/** Pictures of the catalogue on which the new backbone is compared with tfjs. */
const NUM_CHECK_PICTURES = 4;

/** What decides a fine-tuned backbone; its checkpoints are kept under it too. */
export function finetuneDerivation({ snapshot, backbone, config }: FinetuneInput): Derivation {
  const settings = {
    stage: 'backbone',
    finetune: JSON.parse(JSON.stringify(config)) as JsonObject,
    pixels: PIXELS_VERSION,
  };
  return { kind: 'model', inputs: { snapshot, backbone }, config: settings, seed: config.seed };
}

/**
 * Fine-tunes a backbone in this process, from artefacts to artefact: finds the finished one, else resumes at the newest readable
 * checkpoint, trains, exports, checks and publishes. Learns from what a head may learn from (`splitSnapshot`), never from what judges.
 * Where nothing can be learnt, it is the backbone as it was, with the reason.
 * @throws LookalikeError `invalidInput` for another network than EfficientNet-Lite0 | `cancelled` | `nonFinite` | `gateRejected`
 */
export async function finetuneAndPublish(job: FinetuneJob): Promise<FinetuneOutput> {
  const { stores, input } = job;
  const derivation = finetuneDerivation(input);
  const found = await stores.artifacts.find(derivation);
  if (found !== undefined) {
    // The run that published it may have died before it said so.
    await finetuneCheckpoints(stores, derivation).forget();
    return { backbone: found.id, reused: true, metrics: numbersOf(found) };
  }
  const base = await stores.artifacts.get(input.backbone);
  const graph = decodeModel(await readFile(await stores.artifacts.materialise(base.id, 'backbone.onnx')));
  expectNetwork(graph);
  return train(job, derivation, base, graph);
}

async function train(
  job: FinetuneJob,
  derivation: Derivation,
  base: Artifact,
  graph: ModelProto,
): Promise<FinetuneOutput> {
  const { config, stores, input, logger, signal, onProgress } = job;
  const { tf, backend, tried } = await loadTensorFlow(config);
  logger.info({ backend, tried }, 'fine-tuning backend');
  const checkpoints = finetuneCheckpoints(stores, derivation);
  const split = splitSnapshot(await readSnapshotRows(stores, input.snapshot, signal));
  const { blocks, size, views, outputSize, labelsPerBatch, samplesPerLabel, epochs } = input.config;
  const cut = cutBefore(blocks, size);
  const given = modelSummaryOf(base).preprocessing;
  const idle = { epoch: 0, numEpochs: epochs, step: 0, numSteps: 0, loss: null, learningRate: 0, recallByEpoch: [] };
  await using opened = await openFinetuneData({
    ...{ config, stores, split, graph, cut, views, signal, preprocessing: scaled(given, size) },
    onProgress: (prepared, toPrepare) =>
      onProgress({ ...idle, samplesPerSecond: 0, backend, checkpoint: null, prepared, toPrepare }),
  });
  const { data, readable, numPrepared } = opened;
  const why = whyUntrained(readableOf(split, readable));
  if (why !== null) {
    logger.info({ why }, 'nothing is fine-tuned');
    return { backbone: base.id, reused: true, metrics: {}, untrained: why };
  }
  const units = cut.stages.flatMap((stage) => stage.units);
  const program = new FinetuneProgram(tf, cut, readUnits(graph, units), data, input.config);
  const resumed = await checkpoints.latest(logger);
  if (resumed) logger.info({ step: resumed.state.step, checkpoint: resumed.artifact }, 'fine-tuning resumes');

  let checkpoint = resumed?.artifact ?? null;
  const startedAt = performance.now();
  const rows = Math.min(labelsPerBatch, data.numLabels) * samplesPerLabel;
  let numSteps = 0;
  const made = await finetune(program, input.config, resumed?.state, {
    signal,
    onStep(report) {
      const samplesPerSecond = Math.round((++numSteps * rows * 1000) / (performance.now() - startedAt));
      const told = { ...report, recallByEpoch: [...report.recallByEpoch], numEpochs: epochs };
      onProgress({ ...told, samplesPerSecond, backend, checkpoint, prepared: numPrepared, toPrepare: numPrepared });
      // A step blocks this process; between two, messages and the abort get their turn.
      return new Promise((resolve) => setImmediate(resolve));
    },
    onCheckpoint: async (state) => {
      checkpoint = await checkpoints.save(state);
    },
  });

  const values = viewsOf(program.parameters, made.values);
  const whole = withInputSize(withUnits(graph, units, values), outputSize);
  const preprocessing = scaled(given, outputSize);
  const exportAgreement = await checkTail(tf, {
    ...{ whole, cut: cutBefore(blocks, outputSize), values, preprocessing },
    pictures: await Promise.all(checkPictures(split.train, readable).map((image) => stores.blobs.get(image))),
  });
  // Only what is the same in every run: a duration here would give equal backbones different names.
  const metrics = {
    ...(program.canJudge && { sampleRecallAt1: made.recallByEpoch.at(-1)! }),
    numSteps: program.numSteps,
    numParameters: program.parameters.length,
    numPictures: data.labels.length,
    numLabels: data.numLabels,
  };
  const { name, featureDim } = modelSummaryOf(base);
  const published = await stores.artifacts.publish({
    ...derivation,
    summary: {
      ...{ stage: 'backbone', name: `${name}, fine-tuned`, dim: featureDim, featureDim, backbone: null },
      preprocessing: { ...preprocessing },
    },
    metrics: { ...metrics, recallByEpoch: made.recallByEpoch, exportAgreement: { ...exportAgreement } },
    files: { 'backbone.onnx': { bytes: encodeModel(whole) } },
  });
  await checkpoints.forget();
  await Promise.all(opened.folders.map((folder) => rm(folder, { recursive: true, force: true })));
  return { backbone: published.id, reused: false, metrics };
}

/** The same part of the picture at another size. */
function scaled(given: Preprocessing, size: number): Preprocessing {
  return { ...given, size, resizeShorterSide: Math.round((given.resizeShorterSide * size) / given.size) };
}

function checkPictures(train: readonly { image: string }[], readable: ReadonlySet<string>): string[] {
  return [...new Set(train.map(({ image }) => image))]
    .filter((image) => readable.has(image))
    .slice(0, NUM_CHECK_PICTURES);
}

function numbersOf({ manifest }: Artifact): Record<string, number> {
  return Object.fromEntries(
    Object.entries(manifest.metrics).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
