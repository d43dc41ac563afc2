import { readFile } from 'node:fs/promises';
import type { Artifact, ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ModelSummary, Preprocessing } from '../../contracts/model.ts';
import { exportOnnx } from '../../lib/export/export-onnx.ts';
import { VALUES } from '../../lib/export/head.ts';
import { PIXELS_VERSION } from '../../lib/images/preprocess.ts';
import { FEATURE_DIM, INPUT_SIZE } from '../../lib/nn/efficientnet-lite0.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import { throwIfCancelled } from '../provision/progress.ts';
import type { ProvisionReport } from '../provision/progress.ts';
import { provisionWeights } from '../provision/weights.ts';
import { importEfficientNetLite0 } from '../weights/efficientnet-lite0.ts';
import { checkAgainstTf } from './check-against-tfjs.ts';
import { modelSummaryOf } from './model-summary.ts';
import { readOwnBackbone, sha256Of } from './own-backbone.ts';

export const DEFAULT_BACKBONE = 'efficientnet-lite0';

/** What the network saw when its weights were learnt. */
export const EFFICIENTNET_LITE0_PREPROCESSING: Preprocessing = {
  resizeShorterSide: 256,
  size: INPUT_SIZE,
  mean: [127, 127, 127],
  std: [128, 128, 128],
  background: [255, 255, 255],
};

/** Stores that model publishing needs. */
export interface ModelStores {
  artifacts: ArtifactStore;
}

/**
 * The backbone as a model artefact, published if it is not there yet. `name` is `efficientnet-lite0`, the id of a backbone
 * artefact, or `file:` and the path of a user's own ONNX or tfjs network (see {@link readOwnBackbone}). `signal` stops a download.
 * @throws LookalikeError `invalidInput` | `notFound` | `missingDependency` | `cancelled` | `gateRejected` the export disagrees with tfjs
 */
export async function ensureBackbone(
  stores: ModelStores,
  config: Config,
  name: string,
  report: ProvisionReport = () => undefined,
  signal?: AbortSignal,
): Promise<Artifact> {
  if (name === DEFAULT_BACKBONE) return ensureEfficientNetLite0(stores, config, report, signal);
  if (name.startsWith('file:')) return ensureOwnBackbone(stores, config, name.slice('file:'.length));
  const artifact = await stores.artifacts.get(name);
  if (modelSummaryOf(artifact).stage !== 'backbone') {
    throw new LookalikeError('invalidInput', `Expected ${name} to be a backbone; it is a model with a head.`);
  }
  return artifact;
}

async function ensureEfficientNetLite0(
  stores: ModelStores,
  config: Config,
  report: ProvisionReport,
  signal?: AbortSignal,
): Promise<Artifact> {
  const weights = await readFile(await provisionWeights(config, report, { signal }));
  const preprocessing = EFFICIENTNET_LITE0_PREPROCESSING;
  const derivation = backboneDerivation({ weights: sha256Of(weights) }, DEFAULT_BACKBONE, preprocessing);
  const found = await stores.artifacts.find(derivation);
  if (found !== undefined) return found;

  throwIfCancelled(signal);
  const { tf } = await loadTensorFlow(config);
  const model = importEfficientNetLite0(tf, weights);
  try {
    const bytes = exportOnnx(model, { name: DEFAULT_BACKBONE, input: VALUES.image, output: VALUES.features });
    const numChecked = await checkAgainstTf(tf, model, bytes, preprocessing);
    return await stores.artifacts.publish({
      ...derivation,
      summary: { ...summaryOf(DEFAULT_BACKBONE, FEATURE_DIM, preprocessing) },
      // Not the difference itself: it depends on the backend that checked, and an artefact's id must not.
      metrics: { imagesCheckedAgainstTfjs: numChecked },
      files: { 'backbone.onnx': { bytes } },
    });
  } finally {
    model.dispose();
  }
}

async function ensureOwnBackbone(stores: ModelStores, config: Config, path: string): Promise<Artifact> {
  const { name, inputs, preprocessing, toOnnx } = await readOwnBackbone(path, config);
  const derivation = backboneDerivation(inputs, name, preprocessing);
  const found = await stores.artifacts.find(derivation);
  if (found !== undefined) return found;
  const { bytes, featureDim, metrics } = await toOnnx();
  return stores.artifacts.publish({
    ...derivation,
    summary: { ...summaryOf(name, featureDim, preprocessing) },
    metrics,
    files: { 'backbone.onnx': { bytes } },
  });
}

function backboneDerivation(inputs: Record<string, string>, name: string, preprocessing: Preprocessing): Derivation {
  return {
    kind: 'model',
    inputs,
    // Other pixels are another backbone, so that no feature of the old ones is taken for one of the new.
    config: { stage: 'backbone', name, preprocessing: { ...preprocessing }, pixels: PIXELS_VERSION },
    seed: null,
  };
}

function summaryOf(name: string, featureDim: number, preprocessing: Preprocessing): BackboneSummary {
  return { stage: 'backbone', name, dim: featureDim, featureDim, preprocessing: { ...preprocessing }, backbone: null };
}
type BackboneSummary = Omit<ModelSummary, 'preprocessing'> & {
  preprocessing: { [key in keyof Preprocessing]: Preprocessing[key] };
};
