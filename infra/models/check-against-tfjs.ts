import type { Preprocessing } from '../../contracts/model.ts';
import { preprocess } from '../../lib/images/preprocess.ts';
import type { LayersModel, Tensor, Tf } from '../../lib/nn/tf.ts';
import { agreementOf, expectAgreement } from './agreement.ts';
import { checkPictures } from './check-pictures.ts';
import { runOnce } from './run-once.ts';

/**
 * Compares a backbone's features in ONNX Runtime and in tfjs on real pictures; gives how many.
 * @throws LookalikeError `nonFinite` | `gateRejected` when they disagree
 */
export async function checkAgainstTf(tf: Tf, model: LayersModel, onnx: Uint8Array, p: Preprocessing): Promise<number> {
  const shape = [1, 3, p.size, p.size];
  const [expected, actual]: [Float32Array[], Float32Array[]] = [[], []];
  for (const picture of await checkPictures()) {
    const image = await preprocess(picture, p);
    const features = tf.tidy(() => model.predict(tf.transpose(tf.tensor(image, shape), [0, 2, 3, 1])));
    expected.push(await (features as Tensor).data<'float32'>());
    tf.dispose(features);
    actual.push(await runOnce(onnx, image, shape));
  }
  expectAgreement('the backbone', agreementOf(expected, actual));
  return expected.length;
}
