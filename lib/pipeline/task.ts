import { normals, randomOf } from '../train/random.ts';
import { sizeOf } from './layers/layer.ts';
import type { RowShape } from './layers/layer.ts';
import type { Model } from './model.ts';
import { convnet, fullyConnected } from './models.ts';
import type { FullyConnectedShape } from './models.ts';

/** A model that processes can tell each other in a line. */
export type ModelSpec = { kind: 'convnet' } | ({ kind: 'fullyConnected' } & FullyConnectedShape);

export function modelOf(spec: ModelSpec): Model {
  return spec.kind === 'convnet' ? convnet() : fullyConnected(spec);
}

/** How loud the noise is beside a label's own pattern. */
const NOISE = 2;

/**
 * Made-up classification for measurements: each label has a pattern, and rows are patterns in noise. Labels and inputs of a step are
 * pure functions of the seed and the step, so that the first and the last machine draw their own and nothing need travel.
 */
export function drawLabels(seed: number, step: number, { numRows, numLabels }: { numRows: number; numLabels: number }) {
  const random = randomOf(seed, 'labels', step);
  return Int32Array.from({ length: numRows }, () => Math.floor(random() * numLabels));
}

/** [labels.length, ...shape] */
export function drawInputs(seed: number, step: number, labels: Int32Array, shape: RowShape): Float32Array {
  const size = sizeOf(shape);
  const inputs = normals(labels.length * size, randomOf(seed, 'noise', step));
  const patterns = new Map<number, Float32Array>();
  labels.forEach((label, row) => {
    const pattern = patterns.get(label) ?? normals(size, randomOf(seed, 'pattern', label));
    patterns.set(label, pattern);
    for (let i = 0; i < size; i++) inputs[row * size + i] = (inputs[row * size + i]! * NOISE + pattern[i]!) / NOISE;
  });
  return inputs;
}
