import type { Tensor2D } from '@tensorflow/tfjs';
import { normals } from '../../train/random.ts';
import { expectAxes } from './layer.ts';
import type { LayerBuilder } from './layer.ts';

/** x W + b: [B, D] -> [B, units]; kernel [D, units], bias [units]. */
export function dense(name: string, units: number): LayerBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 1);
    const [dim] = inputShape as [number];
    return {
      name,
      inputShape,
      outputShape: [units],
      parameters: [
        { name: 'kernel', shape: [dim, units], decays: true, initial: heNormal(dim, dim * units) },
        { name: 'bias', shape: [units], decays: false, initial: () => new Float32Array(units) },
      ],
      flopsPerRow: 2 * dim * units,
      forward: (tf, input, [kernel, bias]) => tf.add(tf.matMul(input as Tensor2D, kernel as Tensor2D), bias!),
    };
  };
}

/** Normal values of variance 2 / fanIn (He et al., arXiv 1502.01852, eq. 10). */
export function heNormal(fanIn: number, count: number): (random: () => number) => Float32Array {
  const deviation = Math.sqrt(2 / fanIn);
  return (random) => {
    const values = normals(count, random);
    for (let i = 0; i < count; i++) values[i]! *= deviation;
    return values;
  };
}
