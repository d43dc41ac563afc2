import type { Scalar, Tensor } from '@tensorflow/tfjs';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { Tf } from '../../nn/tf.ts';

/** Sizes of one row; the batch axis comes first in every tensor and is left out here. */
export type RowShape = readonly number[];

export interface ParameterSpec {
  /** Unique within its layer. */
  name: string;
  shape: readonly number[];
  /** Whether weight decay applies. */
  decays: boolean;
  /** Values to start from, row-major. */
  initial: (random: () => number) => Float32Array;
}

/** One link of a sequential model: what every strategy cuts, splits or copies. A pure function of input and parameters. */
export interface Layer {
  /** Unique within its model; initial values are drawn by it, so that they do not depend on where a model is cut. */
  readonly name: string;
  readonly inputShape: RowShape;
  readonly outputShape: RowShape;
  readonly parameters: readonly ParameterSpec[];
  /** Floating-point operations of the forward pass per row, a multiply-add counted as two. */
  readonly flopsPerRow: number;
  /** [B, ...inputShape] -> [B, ...outputShape]; `parameters` in the order of the list. */
  forward(tf: Tf, input: Tensor, parameters: readonly Tensor[]): Tensor;
}

/** The last link. */
export interface LossLayer extends Omit<Layer, 'outputShape' | 'forward'> {
  /** Whether it is a mean over rows, each row's share of which depends on that row alone: such a batch may be computed in parts. */
  readonly isRowWise: boolean;
  /** [B, ...inputShape], labels [B] of 0..C-1 -> loss. What it draws at random is a pure function of the step. */
  loss(tf: Tf, input: Tensor, labels: Int32Array, parameters: readonly Tensor[], step: number): Scalar;
}

/** A layer still waiting for the shape of what comes before it. */
export type LayerBuilder = (inputShape: RowShape) => Layer;
export type LossBuilder = (inputShape: RowShape) => LossLayer;

/** Values in one row (or one parameter) of this shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** @throws LookalikeError `dimensionMismatch` unless a row has as many axes as the layer needs */
export function expectAxes(layer: string, shape: RowShape, numAxes: number): void {
  if (shape.length === numAxes) return;
  throw new LookalikeError(
    'dimensionMismatch',
    `Expected rows of ${numAxes} axes before layer ${layer}, got [${shape.join(', ')}]. Put a flatten or a pooling layer between.`,
  );
}
