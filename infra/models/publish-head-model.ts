import { readFile } from 'node:fs/promises';
import type { Artifact } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Json, JsonObject } from '../../contracts/json.ts';
import type { ModelSummary } from '../../contracts/model.ts';
import { composeOnnx, exportHead } from '../../lib/export/head.ts';
import type { DenseWeights } from '../../lib/export/head.ts';
import { preprocess } from '../../lib/images/preprocess.ts';
import { buildHead } from '../../lib/nn/head.ts';
import type { LayersModel, Tf } from '../../lib/nn/tf.ts';
import type { Agreement } from './agreement.ts';
import { agreementOf, expectAgreement } from './agreement.ts';
import type { ModelStores } from './ensure-backbone.ts';
import { modelSummaryOf } from './model-summary.ts';
import { runOnce } from './run-once.ts';

export interface HeadModelDraft {
  stores: ModelStores;
  tf: Tf;
  backbone: Artifact;
  /** Layers before the projection, each followed by ReLU. Default: none. */
  hidden?: readonly DenseWeights[];
  /** Row-major [featureDim, dim], or from the last of these layers. */
  kernel: Float32Array;
  /** [dim]. */
  bias: Float32Array;
  /** Taken as it is, so that `find` with the same derivation finds the model; `inputs` should name the backbone too. */
  derivation: { inputs: Record<string, string>; config: JsonObject; seed: number | null };
  metrics: Record<string, Json>;
  name: string;
  /** Real pictures, at least one: the export is compared with tfjs on them. */
  checkImages: Uint8Array[];
}

/**
 * Publishes a trained head over its backbone: `backbone.onnx`, `head.onnx` and both in `model.onnx`. Before that, the whole
 * ONNX graph is run on real pictures and must agree with tfjs on the same features.
 * @throws LookalikeError `nonFinite` | `dimensionMismatch` | `gateRejected` the export disagrees with tfjs
 */
export async function publishHeadModel(draft: HeadModelDraft): Promise<Artifact> {
  const { stores, tf, backbone, kernel, bias, hidden = [] } = draft;
  const { featureDim, preprocessing } = modelSummaryOf(backbone);
  if (draft.checkImages.length === 0) {
    throw new LookalikeError('invalidInput', 'Expected at least one picture to check the export on, got none.');
  }
  const head = exportHead(featureDim, { kernel, bias, dim: bias.length, hidden });
  const backbonePath = await stores.artifacts.materialise(backbone.id, 'backbone.onnx');
  const backboneBytes = await readFile(backbonePath);
  const whole = composeOnnx(backboneBytes, head);

  const { size } = preprocessing;
  const [expected, actual]: [Float32Array[], Float32Array[]] = [[], []];
  const model = headInTf(tf, featureDim, [...hidden, { kernel, bias }]);
  try {
    for (const picture of draft.checkImages) {
      const image = await preprocess(picture, preprocessing);
      const features = await runOnce(backboneBytes, image, [1, 3, size, size]);
      const embedding = tf.tidy(() => model.predict(tf.tensor2d(features, [1, featureDim]))) as ReturnType<
        Tf['tensor']
      >;
      expected.push(await embedding.data<'float32'>());
      embedding.dispose();
      actual.push(await runOnce(whole, image, [1, 3, size, size]));
    }
  } finally {
    model.dispose();
  }
  const agreement = agreementOf(expected, actual);
  expectAgreement(draft.name, agreement);
  return publishEmbeddingModel(draft, { head, whole, backbonePath, agreement }, bias.length);
}

/** The head as the trainer sees it. Dispose of it after use. */
function headInTf(tf: Tf, featureDim: number, layers: readonly DenseWeights[]): LayersModel {
  const widths = layers.map(({ bias }) => bias.length);
  const model = buildHead(tf, featureDim, widths.at(-1)!, widths.slice(0, -1));
  tf.tidy(() =>
    model.setWeights(
      layers.flatMap(({ kernel, bias }, i) => [
        tf.tensor2d(kernel, [widths[i - 1] ?? featureDim, bias.length]),
        tf.tensor1d(bias),
      ]),
    ),
  );
  return model;
}

/**
 * The untrained model: the backbone's own features, L2-normalised. What retraining has to beat.
 */
export async function ensurePretrained(stores: ModelStores, backboneId: string): Promise<Artifact> {
  const backbone = await stores.artifacts.get(backboneId);
  const { featureDim, name } = modelSummaryOf(backbone);
  const derivation = { inputs: { backbone: backbone.id }, config: { head: 'none' }, seed: null };
  const found = await stores.artifacts.find({ kind: 'model', ...derivation });
  if (found !== undefined) return found;
  const head = exportHead(featureDim);
  const backbonePath = await stores.artifacts.materialise(backbone.id, 'backbone.onnx');
  const whole = composeOnnx(await readFile(backbonePath), head);
  const draft = { stores, backbone, derivation, metrics: {}, name: `${name}, untrained` };
  return publishEmbeddingModel(draft, { head, whole, backbonePath }, featureDim);
}

function publishEmbeddingModel(
  draft: Pick<HeadModelDraft, 'stores' | 'backbone' | 'derivation' | 'metrics' | 'name'>,
  files: { head: Uint8Array; whole: Uint8Array; backbonePath: string; agreement?: Agreement },
  dim: number,
): Promise<Artifact> {
  const { stores, backbone, derivation, metrics, name } = draft;
  const { featureDim, preprocessing } = modelSummaryOf(backbone);
  const summary: ModelSummary = { stage: 'embedding', name, dim, featureDim, preprocessing, backbone: backbone.id };
  return stores.artifacts.publish({
    kind: 'model',
    inputs: derivation.inputs,
    config: derivation.config,
    seed: derivation.seed,
    summary: { ...summary, preprocessing: { ...preprocessing } },
    metrics: { ...metrics, ...(files.agreement && { exportAgreement: { ...files.agreement } }) },
    files: {
      'backbone.onnx': { path: files.backbonePath },
      'head.onnx': { bytes: files.head },
      'model.onnx': { bytes: files.whole },
    },
  });
}
