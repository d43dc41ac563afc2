import type { Tensor1D, Tensor4D } from '@tensorflow/tfjs';
import { heNormal } from './dense.ts';
import { expectAxes, sizeOf } from './layer.ts';
import type { LayerBuilder, RowShape } from './layer.ts';

/** Stride 1, no padding: [B, H, W, C] -> [B, H - size + 1, W - size + 1, filters]; kernel [size, size, C, filters]. */
export function conv2d(name: string, filters: number, size: number): LayerBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 3);
    const [height, width, channels] = inputShape as [number, number, number];
    const outputShape = [height - size + 1, width - size + 1, filters];
    const fanIn = size * size * channels;
    return {
      name,
      inputShape,
      outputShape,
      parameters: [
        {
          name: 'kernel',
          shape: [size, size, channels, filters],
          decays: true,
          initial: heNormal(fanIn, fanIn * filters),
        },
        { name: 'bias', shape: [filters], decays: false, initial: () => new Float32Array(filters) },
      ],
      flopsPerRow: 2 * fanIn * sizeOf(outputShape),
      forward: (tf, input, [kernel, bias]) =>
        tf.add(tf.conv2d(input as Tensor4D, kernel as Tensor4D, 1, 'valid'), bias as Tensor1D),
    };
  };
}

/** The largest of each size x size window, without overlap; what does not fill a window is left out. */
export function maxPool(name: string, size: number): LayerBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 3);
    const [height, width, channels] = inputShape as [number, number, number];
    const outputShape: RowShape = [Math.floor(height / size), Math.floor(width / size), channels];
    return {
      name,
      inputShape,
      outputShape,
      parameters: [],
      flopsPerRow: sizeOf(inputShape),
      forward: (tf, input) => tf.maxPool(input as Tensor4D, size, size, 'valid'),
    };
  };
}

/** The mean of each channel: [B, H, W, C] -> [B, C]. */
export function globalAveragePool(name: string): LayerBuilder {
  return (inputShape) => {
    expectAxes(name, inputShape, 3);
    return {
      name,
      inputShape,
      outputShape: [inputShape[2]!],
      parameters: [],
      flopsPerRow: sizeOf(inputShape),
      forward: (tf, input) => tf.mean(input, [1, 2]),
    };
  };
}
