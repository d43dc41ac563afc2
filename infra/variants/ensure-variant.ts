import { readFile } from 'node:fs/promises';
import type { Artifact, ArtifactStore, BlobStore, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Json, JsonObject } from '../../contracts/json.ts';
import type { Precision } from '../../contracts/model.ts';
import { decodeModel } from '../../lib/export/onnx-proto.ts';
import { planQuantisation } from '../../lib/export/quantise/plan.ts';
import { quantisedFiles } from '../../lib/export/variant-files.ts';
import type { VariantFiles } from '../../lib/export/variant-files.ts';
import type { Config } from '../config/env.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import { runTaskProcess } from '../shards/heavy-task.ts';
import { readSnapshotRows } from '../snapshot/read-snapshot.ts';
import { calibrate } from './calibrate.ts';
import type { HalveTaskInput, HalveTaskOutput } from './halve-task.ts';
import { INT8_DEFAULTS } from './int8-settings.ts';
import type { Int8Settings } from './int8-settings.ts';
import { judgeVariant } from './judge-variant.ts';
import { sampleSnapshot } from './sample-snapshot.ts';

/** What int8 takes: pictures to calibrate on and to be judged by. */
export interface Int8Request {
  snapshot: string;
  blobs: Pick<BlobStore, 'get'>;
  config: Pick<Config, 'embedThreads' | 'executionProvider'>;
  /** How much recall@1 may drop for the variant to be allowed in its model's place. */
  maxRecallDrop: number;
  settings?: Int8Settings;
  onProgress?: (what: 'calibrate' | 'judge', done: number, total: number) => void;
}

/** Labelled pictures that a variant is judged by, at most. */
const JUDGED = { queries: 500, catalogue: 3_000 };

/**
 * The model in another precision, as an artefact with the same three files, made if it is not there yet. fp16 takes the model alone;
 * int8 is calibrated on a snapshot's pictures, and its metrics say what it costs and whether it may serve.
 * @throws LookalikeError `invalidInput` no embedding model, one that is a variant already, or nothing to quantise | `cancelled` | `nonFinite`
 */
export async function ensureHalf(artifacts: ArtifactStore, modelId: string): Promise<Artifact> {
  const model = await wholeModel(artifacts, modelId);
  const derivation = halfDerivation(modelId);
  const found = await artifacts.find(derivation);
  if (found !== undefined) return found;
  const [backbonePath, headPath, modelPath] = await Promise.all(
    (['backbone.onnx', 'head.onnx', 'model.onnx'] as const).map((name) => artifacts.materialise(modelId, name)),
  );
  const { preprocessing } = modelSummaryOf(model);
  const input = { backbonePath, headPath, modelPath, preprocessing } as HalveTaskInput;
  const { files, agreement } = await runTaskProcess<HalveTaskOutput>('../variants/halve-task', input);
  return publish(artifacts, model, 'fp16', derivation, files, { agreement: { ...agreement } });
}

/** See {@link ensureHalf}. */
export async function ensureInt8(
  artifacts: ArtifactStore,
  modelId: string,
  request: Int8Request,
  signal?: AbortSignal,
): Promise<Artifact> {
  const { snapshot, blobs, config, maxRecallDrop, settings = INT8_DEFAULTS, onProgress } = request;
  const model = await wholeModel(artifacts, modelId);
  const derivation = int8Derivation(modelId, snapshot, maxRecallDrop, settings);
  const found = await artifacts.find(derivation);
  if (found !== undefined) return found;
  const rows = await readSnapshotRows({ artifacts }, snapshot, signal);
  const sample = sampleSnapshot(rows, { calibration: settings.numPictures, ...JUDGED });
  const backbone = decodeModel(await readFile(await artifacts.materialise(modelId, 'backbone.onnx')));
  const head = await readFile(await artifacts.materialise(modelId, 'head.onnx'));
  const plan = planQuantisation(backbone, new Set(settings.keepFloat));
  const { ranges, numPictures } = await calibrate(backbone, plan, {
    preprocessing: modelSummaryOf(model).preprocessing,
    calibration: settings.calibration,
    pictures: sample.calibration.map((image) => () => blobs.get(image)),
    numThreads: config.embedThreads,
    signal,
    onProgress: (done, total) => onProgress?.('calibrate', done, total),
  });
  const files = quantisedFiles(backbone, head, { plan, ranges, weightLevels: settings.weightLevels });
  const { quality, agreement } = await judgeVariant({
    stores: { artifacts, blobs },
    config,
    model,
    files,
    sample,
    maxRecallDrop,
    signal,
    onProgress: (done, total) => onProgress?.('judge', done, total),
  });
  return publish(artifacts, model, 'int8', derivation, files, {
    agreement: { ...agreement },
    calibratedOn: numPictures,
    quantisedLayers: plan.convs.length,
    quality: { ...quality },
  });
}

/** The int8 variant that an export with default settings made, if there is one. */
export function findInt8(
  artifacts: Pick<ArtifactStore, 'find'>,
  modelId: string,
  snapshot: string,
  maxRecallDrop: number,
): Promise<Artifact | undefined> {
  return artifacts.find(int8Derivation(modelId, snapshot, maxRecallDrop, INT8_DEFAULTS));
}

function halfDerivation(model: string): Derivation {
  return { kind: 'model', inputs: { model }, config: { precision: 'fp16' }, seed: null };
}

function int8Derivation(model: string, snapshot: string, maxRecallDrop: number, settings: Int8Settings): Derivation {
  const { calibration, ...others } = settings;
  const config: JsonObject = {
    precision: 'int8',
    calibration: { ...calibration },
    ...others,
    judged: { ...JUDGED },
    maxRecallDrop,
  };
  return { kind: 'model', inputs: { model, snapshot }, config, seed: null };
}

/** @throws LookalikeError `invalidInput` */
async function wholeModel(artifacts: Pick<ArtifactStore, 'get'>, id: string): Promise<Artifact> {
  const model = await artifacts.get(id);
  const { stage, precision = 'fp32' } = modelSummaryOf(model);
  if (stage !== 'embedding' || precision !== 'fp32') {
    const got = stage === 'embedding' ? `an ${precision} variant of one` : 'a backbone';
    throw new LookalikeError('invalidInput', `Expected an fp32 model with a head, got ${id}, ${got}.`);
  }
  return model;
}

function publish(
  artifacts: ArtifactStore,
  model: Artifact,
  precision: Precision,
  derivation: Derivation,
  files: VariantFiles,
  metrics: Record<string, Json>,
): Promise<Artifact> {
  const { preprocessing, ...summary } = modelSummaryOf(model);
  return artifacts.publish({
    ...derivation,
    // Its features are not its backbone's: none that are cached may be taken for them.
    summary: {
      ...summary,
      name: `${summary.name}, ${precision}`,
      backbone: null,
      precision,
      preprocessing: { ...preprocessing },
    },
    metrics,
    files: Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, { bytes: bytes as Uint8Array }])),
  });
}
