import type { Tensor, Tensor4D } from '@tensorflow/tfjs';
import type { Preprocessing } from '../../contracts/model.ts';
import { encodeModel } from '../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../lib/export/onnx-proto.ts';
import { frozenPart } from '../../lib/finetune/backbone-graph.ts';
import type { UnitValues } from '../../lib/finetune/backbone-graph.ts';
import type { Cut } from '../../lib/finetune/network.ts';
import { runStages, unitShapes } from '../../lib/finetune/tail.ts';
import { preprocess } from '../../lib/images/preprocess.ts';
import type { Tf } from '../../lib/nn/tf.ts';
import { agreementOf, expectAgreement } from '../models/agreement.ts';
import type { Agreement } from '../models/agreement.ts';
import { runOnce } from '../models/run-once.ts';

/**
 * Compares what was trained in tfjs, on top of the frozen part in ONNX Runtime, with the whole new graph in ONNX Runtime.
 * @throws LookalikeError `nonFinite` | `gateRejected` when they disagree
 */
export async function checkTail(
  tf: Tf,
  {
    whole,
    cut,
    values,
    pictures,
    preprocessing,
  }: {
    /** The new graph, and what was trained of it. */
    whole: ModelProto;
    cut: Cut;
    values: UnitValues;
    pictures: readonly Uint8Array[];
    preprocessing: Preprocessing;
  },
): Promise<Agreement> {
  const { size } = preprocessing;
  const shape = [1, 3, size, size];
  const [graph, frozen] = [encodeModel(whole), encodeModel(frozenPart(whole, cut, size))];
  const weights: Record<string, Tensor> = {};
  for (const { name, shape: own } of cut.stages.flatMap(({ units }) => units).flatMap(unitShapes)) {
    weights[name] = tf.tensor(values[name]!, own, 'float32');
  }
  const [expected, actual]: [Float32Array[], Float32Array[]] = [[], []];
  try {
    for (const picture of pictures) {
      const image = await preprocess(picture, preprocessing);
      const held = await runOnce(frozen, image, shape);
      const features = tf.tidy(() => {
        const kept = tf.tensor4d(held, [1, cut.channels, cut.side, cut.side]);
        return runStages(tf, cut.stages, tf.transpose<Tensor4D>(kept, [0, 2, 3, 1]), weights);
      });
      expected.push(Float32Array.from(features.dataSync<'float32'>()));
      features.dispose();
      actual.push(await runOnce(graph, image, shape));
    }
  } finally {
    tf.dispose(weights);
  }
  const agreement = agreementOf(expected, actual);
  expectAgreement('the fine-tuned backbone', agreement);
  return agreement;
}
