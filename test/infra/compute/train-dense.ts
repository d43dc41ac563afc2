/**
 * Child process: trains two dense layers on made-up data and prints the backend, whether the loss fell, and the SHA-256 of
 * the weights. The arguments are a backend and the cache folder.
 */
import { createHash } from 'node:crypto';
import { loadTensorFlow } from '../../../infra/compute/tensorflow.ts';
import type { Config } from '../../../infra/config/env.ts';

const [first, cacheDir = ''] = process.argv.slice(2);
const { tf, backend } = await loadTensorFlow({ backend: first as Config['backend'], cacheDir });
const [numRows, dim, numLabels] = [512, 256, 16];
let state = 42;
const random = (): number => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32 - 0.5;
};
const randoms = (length: number): Float32Array => Float32Array.from({ length }, random);
const labels = Int32Array.from({ length: numRows }, () => Math.floor((random() + 0.5) * numLabels));
const x = tf.tensor2d(randoms(numRows * dim), [numRows, dim]);
const y = tf.oneHot(tf.tensor1d(labels, 'int32'), numLabels);
const hidden = tf.variable(tf.tensor2d(randoms(dim * 128), [dim, 128]));
const output = tf.variable(tf.tensor2d(randoms(128 * numLabels), [128, numLabels]));
const optimizer = tf.train.adam(1e-2);
const losses: number[] = [];
for (let step = 0; step < 40; step++) {
  const loss = optimizer.minimize(
    () => tf.losses.softmaxCrossEntropy(y, x.matMul(hidden).relu().matMul(output)).asScalar(),
    true,
  );
  losses.push((await loss?.data())?.[0] ?? NaN);
}
const hash = createHash('sha256');
for (const weights of [hidden, output]) hash.update(Buffer.from((await weights.data()).buffer as ArrayBuffer));
const hasLearnt = (losses.at(-1) ?? NaN) < (losses[0] ?? NaN) / 2;
console.log(JSON.stringify({ backend, hasLearnt, sha256: hash.digest('hex') }));
