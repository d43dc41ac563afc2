import { l2NormaliseLayer } from './l2-normalise.ts';
import type { LayersModel, SymbolicTensor, Tf } from './tf.ts';

/**
 * A projection, after any number of layers with ReLU, and L2 normalisation as a tfjs model: [N, featureDim] -> [N, dim]. Weights start
 * at zero.
 */
export function buildHead(tf: Tf, featureDim: number, dim: number, hidden: readonly number[] = []): LayersModel {
  const features = tf.input({ shape: [featureDim], name: 'features' });
  const trunk = hidden.reduce<SymbolicTensor>((input, units, i) => {
    const layer = tf.layers.dense({ name: `hidden${i + 1}`, units, activation: 'relu', kernelInitializer: 'zeros' });
    return layer.apply(input) as SymbolicTensor;
  }, features);
  const projected = tf.layers
    .dense({ name: 'projection', units: dim, kernelInitializer: 'zeros' })
    .apply(trunk) as SymbolicTensor;
  const embedding = l2NormaliseLayer(tf, 'embedding').apply(projected) as SymbolicTensor;
  return tf.model({ inputs: features, outputs: embedding, name: 'head' });
}
