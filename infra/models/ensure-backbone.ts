import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { Artifact, ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { ModelSummary, Preprocessing } from '../../contracts/model.ts';
import { exportOnnx } from '../../lib/export/export-onnx.ts';
import { VALUES } from '../../lib/export/head.ts';
import { preprocess } from '../../lib/images/preprocess.ts';
import { FEATURE_DIM, INPUT_SIZE } from '../../lib/nn/efficientnet-lite0.ts';
import type { LayersModel, Tf } from '../../lib/nn/tf.ts';
import { loadTensorFlow } from '../compute/tensorflow.ts';
import type { Config } from '../config/env.ts';
import type { ProvisionReport } from '../provision/progress.ts';
import { provisionWeights } from '../provision/weights.ts';
import { importEfficientNetLite0 } from '../weights/efficientnet-lite0.ts';
import { agreementOf, expectAgreement } from './agreement.ts';
import { checkPictures } from './check-pictures.ts';
import { modelSummaryOf } from './model-summary.ts';
import { runOnce } from './run-once.ts';
import { readOwnBackbone } from './own-backbone.ts';

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
 * artefact, or `file:` and the path of a user's own ONNX network (see {@link readOwnBackbone}).
 * @throws LookalikeError `invalidInput` | `notFound` | `missingDependency` | `gateRejected` the export disagrees with tfjs
 */
export async function ensureBackbone(
  stores: ModelStores,
  config: Config,
  name: string,
  report: ProvisionReport = () => undefined,
): Promise<Artifact> {
  if (name === DEFAULT_BACKBONE) return ensureEfficientNetLite0(stores, config, report);
  if (name.startsWith('file:')) return ensureOwnBackbone(stores, name.slice('file:'.length));
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
): Promise<Artifact> {
  const weights = await readFile(await provisionWeights(config, report));
  const preprocessing = EFFICIENTNET_LITE0_PREPROCESSING;
  const derivation = backboneDerivation({ weights: sha256Of(weights) }, DEFAULT_BACKBONE, preprocessing);
  const found = await stores.artifacts.find(derivation);
  if (found !== undefined) return found;

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

/** Backbone features in ONNX Runtime and in tfjs, on real pictures. */
async function checkAgainstTf(tf: Tf, model: LayersModel, onnx: Uint8Array, p: Preprocessing): Promise<number> {
  const shape = [1, 3, p.size, p.size];
  const [expected, actual]: [Float32Array[], Float32Array[]] = [[], []];
  for (const picture of await checkPictures()) {
    const image = await preprocess(picture, p);
    const features = tf.tidy(() => model.predict(tf.transpose(tf.tensor(image, shape), [0, 2, 3, 1])));
    expected.push(await (features as ReturnType<Tf['tensor']>).data<'float32'>());
    tf.dispose(features);
    actual.push(await runOnce(onnx, image, shape));
  }
  expectAgreement('the backbone', agreementOf(expected, actual));
  return expected.length;
}

async function ensureOwnBackbone(stores: ModelStores, path: string): Promise<Artifact> {
  const own = await readOwnBackbone(path);
  const derivation = backboneDerivation({ onnx: sha256Of(own.original) }, own.name, own.preprocessing);
  return (
    (await stores.artifacts.find(derivation)) ??
    (await stores.artifacts.publish({
      ...derivation,
      summary: { ...summaryOf(own.name, own.featureDim, own.preprocessing) },
      metrics: {},
      files: { 'backbone.onnx': { bytes: own.bytes } },
    }))
  );
}

function backboneDerivation(inputs: Record<string, string>, name: string, preprocessing: Preprocessing): Derivation {
  return {
    kind: 'model',
    inputs,
    config: { stage: 'backbone', name, preprocessing: { ...preprocessing } },
    seed: null,
  };
}

function summaryOf(name: string, featureDim: number, preprocessing: Preprocessing): BackboneSummary {
  return { stage: 'backbone', name, dim: featureDim, featureDim, preprocessing: { ...preprocessing }, backbone: null };
}
type BackboneSummary = Omit<ModelSummary, 'preprocessing'> & {
  preprocessing: { [key in keyof Preprocessing]: Preprocessing[key] };
};

function sha256Of(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
