import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Artifact } from '../../contracts/artifacts.ts';
import { assertNever } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { Precision } from '../../contracts/model.ts';
import { VALUES } from '../../lib/export/head.ts';
import type { Config } from '../config/env.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import { createSnapshot } from '../snapshot/create-snapshot.ts';
import type { Stores } from '../stores.ts';
import { ensureHalf, ensureInt8 } from './ensure-variant.ts';
import type { Int8Request } from './ensure-variant.ts';

export interface ExportRequest {
  stores: Pick<Stores, 'artifacts' | 'blobs' | 'registry'>;
  config: Pick<Config, 'embedThreads' | 'executionProvider'>;
  /** A model artefact with a head. */
  model: string;
  precision: Precision;
  /** Whose pictures int8 is calibrated on and judged by. */
  catalogue: string;
  maxRecallDrop: number;
  /** Folder for the files; made if it is not there. */
  out: string;
  signal?: AbortSignal;
  onProgress?: Int8Request['onProgress'];
}

export interface ExportedModel {
  /** The ONNX file and what stands beside it in JSON: how to feed it, where it came from, what it costs. */
  onnxPath: string;
  jsonPath: string;
  description: JsonObject;
}

/** Writes a model for use elsewhere; the same request finds the variant that was made before. @throws as `ensureInt8` */
export async function exportModel(request: ExportRequest): Promise<ExportedModel> {
  const { stores, precision, out } = request;
  const artifact = await variantOf(request);
  const description = describe(artifact, request.model, precision);
  const name = `lookalike-${precision}`;
  const [onnxPath, jsonPath] = [join(out, `${name}.onnx`), join(out, `${name}.json`)];
  await mkdir(out, { recursive: true });
  // Whoever deploys from the folder must never see half a file.
  await copyFile(await stores.artifacts.materialise(artifact.id, 'model.onnx'), `${onnxPath}.part`);
  await writeFile(`${jsonPath}.part`, `${JSON.stringify(description, null, 2)}\n`);
  await rename(`${onnxPath}.part`, onnxPath);
  await rename(`${jsonPath}.part`, jsonPath);
  return { onnxPath, jsonPath, description };
}

async function variantOf(request: ExportRequest): Promise<Artifact> {
  const { stores, config, model, precision, catalogue, maxRecallDrop, signal, onProgress } = request;
  const { artifacts, blobs } = stores;
  switch (precision) {
    case 'fp32':
      return artifacts.get(model);
    case 'fp16':
      return ensureHalf(artifacts, model);
    case 'int8': {
      const snapshot = await snapshotFor(stores, catalogue, model, signal);
      return ensureInt8(artifacts, model, { snapshot, blobs, config, maxRecallDrop, onProgress }, signal);
    }
    default:
      return assertNever(precision);
  }
}

/** Where the model serves, the snapshot of that generation: the API looks for the variant of that one. */
async function snapshotFor(
  stores: ExportRequest['stores'],
  catalogue: string,
  model: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const [serving] = await stores.registry.generations.list(catalogue, 'serving');
  if (serving?.model === model) return serving.snapshot;
  return (await createSnapshot(stores, catalogue, signal)).id;
}

function describe(artifact: Artifact, model: string, precision: Precision): JsonObject {
  const { dim, name, preprocessing } = modelSummaryOf(artifact);
  const file = artifact.manifest.files['model.onnx']!;
  const { size } = preprocessing;
  return {
    artifact: artifact.id,
    model,
    name,
    precision,
    sizeBytes: file.sizeBytes,
    sha256: file.sha256,
    input: { name: VALUES.image, type: 'float32', shape: ['N', 3, size, size], preprocessing: { ...preprocessing } },
    output: { name: VALUES.embedding, type: 'float32', shape: ['N', dim], normalised: true },
    metrics: artifact.manifest.metrics,
  };
}
