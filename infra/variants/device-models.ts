import type { Artifact, ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError, assertNever } from '../../contracts/errors.ts';
import { PRECISIONS } from '../../contracts/model.ts';
import type { Precision, Preprocessing } from '../../contracts/model.ts';
import { modelSummaryOf } from '../models/model-summary.ts';
import { ensureHalf, findInt8 } from './ensure-variant.ts';
import { MAX_RECALL_DROP } from './int8-settings.ts';
import { qualityOf } from './variant-quality.ts';

/** One file that computes what a model computes, `image` [1, 3, size, size] -> `embedding` [1, dim]. */
export interface DeviceFile {
  precision: Precision;
  /** The artefact whose `model.onnx` it is. */
  artifact: string;
  sha256: string;
  sizeBytes: number;
  /** Whether its vectors find well enough among the model's own. An int8 variant is measured for that, the others are near equal. */
  mayQuery: boolean;
}

/** A model as devices get it, so that a picture need not leave them. */
export interface DeviceModel {
  model: string;
  dim: number;
  preprocessing: Preprocessing;
  files: DeviceFile[];
}

export interface DeviceModels {
  /** @param snapshot of the generation that the model serves: int8 variants are calibrated on it */
  of(model: string, snapshot: string): Promise<DeviceModel>;
  /** A local path to a file's bytes. @throws LookalikeError `notFound` when nobody made the variant */
  open(model: string, snapshot: string, precision: Precision): Promise<{ path: string; file: DeviceFile }>;
}

const FILE = 'model.onnx';

/** fp16 is made at the first question, in a thread of its own; int8 takes pictures and minutes, and is made by an export. */
export function createDeviceModels(artifacts: ArtifactStore): DeviceModels {
  const halves = new Map<string, Promise<Artifact>>();
  const half = (model: string): Promise<Artifact> => {
    const held = halves.get(model);
    if (held !== undefined) return held;
    const making = ensureHalf(artifacts, model);
    // A catalogue is served by one model at a time: the ones before need not be remembered.
    if (halves.size > 16) halves.clear();
    halves.set(model, making);
    making.catch(() => halves.delete(model));
    return making;
  };
  const variant = (model: string, snapshot: string, precision: Precision): Promise<Artifact | undefined> => {
    switch (precision) {
      case 'fp32':
        return artifacts.get(model);
      case 'fp16':
        return half(model);
      case 'int8':
        return findInt8(artifacts, model, snapshot, MAX_RECALL_DROP);
      default:
        return assertNever(precision);
    }
  };
  return {
    async of(model, snapshot) {
      const { dim, preprocessing } = modelSummaryOf(await artifacts.get(model));
      const found = await Promise.all(PRECISIONS.map((precision) => variant(model, snapshot, precision)));
      const files = found.flatMap((artifact) => (artifact === undefined ? [] : [fileOf(artifact)]));
      return { model, dim, preprocessing, files };
    },
    async open(model, snapshot, precision) {
      const artifact = await variant(model, snapshot, precision);
      if (artifact === undefined) {
        throw new LookalikeError(
          'notFound',
          `Expected an ${precision} variant of ${model}, found none. Make it once: lookalike models export ${model} --precision ${precision} --out DIR.`,
        );
      }
      return { path: await artifacts.materialise(artifact.id, FILE), file: fileOf(artifact) };
    },
  };
}

function fileOf(artifact: Artifact): DeviceFile {
  const { precision = 'fp32' } = modelSummaryOf(artifact);
  const { sha256, sizeBytes } = artifact.manifest.files[FILE]!;
  const mayQuery = precision === 'int8' ? (qualityOf(artifact)?.mayQuery ?? false) : true;
  return { precision, artifact: artifact.id, sha256, sizeBytes, mayQuery };
}
