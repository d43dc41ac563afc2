import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { principalAxes } from './principal-axes.ts';
import type { Standardisation } from './standardisation.ts';

/**
 * A projection [F, D] of standardised features that shows raw ones around their mean, along their D widest axes, each divided by its
 * standard deviation to the `power`: 0 keeps all distances that D axes can hold, 1 whitens. Columns beyond the rank are 0. Its size is
 * that of random values.
 * @param features [numPictures * views, F] raw; the plain view of each picture counts
 */
export function principalKernel(
  tf: Tf,
  { features, views, scale }: { features: Float32Array; views: number; scale: Standardisation },
  { dim, power }: Pick<TrainConfig, 'dim'> & { power: number },
): Float32Array {
  const { mean, std } = scale;
  const featureDim = mean.length;
  const numPictures = features.length / (views * featureDim);
  const centred = new Float32Array(numPictures * featureDim);
  for (let picture = 0; picture < numPictures; picture++) {
    const from = picture * views * featureDim;
    for (let j = 0; j < featureDim; j++) centred[picture * featureDim + j] = features[from + j]! - mean[j]!;
  }
  const count = Math.min(dim, featureDim);
  const { axes, variances } = principalAxes(tf, centred, featureDim, count);
  const widest = variances[0]!;
  const kernel = new Float32Array(featureDim * dim);
  let squares = 0;
  for (let k = 0; k < count; k++) {
    // What is left of an axis beyond the rank is rounding, which nothing should blow up.
    const variance = variances[k]! > 1e-9 * widest ? variances[k]! : 0;
    const weight = variance === 0 ? 0 : (variance / widest) ** (-power / 2);
    for (let j = 0; j < featureDim; j++) {
      const value = weight * axes[k * featureDim + j]! * std[j]!;
      kernel[j * dim + k] = value;
      squares += value * value;
    }
  }
  // Random values have variance 1 / F: learning rates and weight decay then mean the same.
  const size = squares === 0 ? 0 : Math.sqrt(dim / squares);
  return kernel.map((value) => value * size);
}
