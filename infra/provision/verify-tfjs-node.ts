/** Child process: loads the binding in a folder and multiplies; exits 0 only if the native backend gave the right answer. */
import { requireTfjsNode } from '../compute/tfjs-node-package.ts';

const [folder, variant] = process.argv.slice(2);
if (folder === undefined || (variant !== 'cpu' && variant !== 'gpu')) throw new Error('Expected: <folder> <cpu|gpu>');
const tf = requireTfjsNode(folder, variant);
await tf.ready();
const product = await tf
  .tensor2d([[1, 2]])
  .matMul(tf.tensor2d([[3], [4]]))
  .data();
if (tf.getBackend() !== 'tensorflow' || product[0] !== 11) {
  throw new Error(`Expected backend tensorflow and 11, got ${tf.getBackend()} and ${product[0]}.`);
}
console.log('backend tensorflow works');
