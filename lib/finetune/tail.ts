import type { Rank, Tensor, Tensor2D, Tensor4D } from '@tensorflow/tfjs';
import type { Tf } from '../nn/tf.ts';
import type { ConvUnit, Stage } from './network.ts';

/** Shapes: B batch, S side, C channels. */

/** What a unit's weights look like: see `UnitValues`. */
export function unitShapes({ name, kind, kernel, in: inputs, out }: ConvUnit): { name: string; shape: number[] }[] {
  const shape = {
    pointwise: [inputs, out],
    depthwise: [kernel, kernel, out, 1],
    dense: [kernel, kernel, inputs, out],
  }[kind];
  return [
    { name: `${name}/kernel`, shape },
    { name: `${name}/bias`, shape: [out] },
  ];
}

/** Stages from the cut on, as they are learnt: [B, S, S, C] -> features [B, F]. Batch norm keeps its statistics, folded into the weights. */
export function runStages(
  tf: Tf,
  stages: readonly Stage[],
  input: Tensor4D,
  weights: Record<string, Tensor>,
): Tensor2D {
  let x = input;
  for (const { units, hasShortcut } of stages) {
    let y = x;
    for (const unit of units) y = runUnit(tf, unit, y, weights, y === input);
    x = hasShortcut ? tf.add(x, y) : y;
  }
  return tf.mean<Tensor2D>(x, [1, 2]);
}

function runUnit(tf: Tf, unit: ConvUnit, x: Tensor4D, weights: Record<string, Tensor>, isInput: boolean): Tensor4D {
  const kernel = weights[`${unit.name}/kernel`]!;
  const bias = weights[`${unit.name}/bias`]!;
  if (unit.kind === 'pointwise') return pointwise(tf, x, kernel as Tensor2D, bias, unit.relu6, isInput);
  const { stride } = unit;
  const linear =
    unit.kind === 'depthwise'
      ? tf.depthwiseConv2d(x, kernel as Tensor4D, stride, 'same')
      : tf.conv2d(x, kernel as Tensor4D, stride, 'same');
  return unit.relu6 ? biasRelu6(tf, linear, bias) : tf.add(linear, bias);
}

/** A 1x1 convolution is one matrix product; with its own gradient, since tfjs would take a dozen passes over the activations. */
function pointwise(tf: Tf, x: Tensor4D, kernel: Tensor2D, bias: Tensor, relu6: boolean, isInput: boolean): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const rows = tf.reshape<Rank.R2>(x, [batch * height * width, channels]);
  const out: [number, number, number, number] = [batch, height, width, kernel.shape[1]];
  const product = (a: Tensor2D, b: Tensor2D, c: Tensor): Tensor2D =>
    tf.fused.matMul({ a, b, bias: c, ...(relu6 && { activation: 'relu6' as const }) }) as Tensor2D;
  const slopeOf = (dy: Tensor2D, y: Tensor2D): Tensor2D => (relu6 ? tf.mul(dy, inside(tf, y)) : dy);
  // What is frozen needs no gradient.
  const run = isInput
    ? tf.customGrad((b, c, save) => {
        const y = product(rows, b as Tensor2D, c as Tensor);
        (save as (tensors: Tensor[]) => void)([rows, y]);
        return {
          value: y,
          gradFunc: (dy: Tensor, [input, kept]: Tensor[]) => {
            const dz = slopeOf(dy as Tensor2D, kept as Tensor2D);
            return [tf.matMul(input as Tensor2D, dz, true, false), tf.sum(dz, 0)];
          },
        };
      })(kernel, bias)
    : tf.customGrad((a, b, c, save) => {
        const y = product(a as Tensor2D, b as Tensor2D, c as Tensor);
        (save as (tensors: Tensor[]) => void)([a as Tensor, b as Tensor, y]);
        return {
          value: y,
          gradFunc: (dy: Tensor, [input, weight, kept]: Tensor[]) => {
            const dz = slopeOf(dy as Tensor2D, kept as Tensor2D);
            return [
              tf.matMul(dz, weight as Tensor2D, false, true),
              tf.matMul(input as Tensor2D, dz, true, false),
              tf.sum(dz, 0),
            ];
          },
        };
      })(rows, kernel, bias);
  return tf.reshape(run, out);
}

function biasRelu6(tf: Tf, x: Tensor4D, bias: Tensor): Tensor4D {
  return tf.customGrad((a, b, save) => {
    const y = tf.relu6(tf.add(a as Tensor, b as Tensor));
    (save as (tensors: Tensor[]) => void)([y]);
    return {
      value: y,
      gradFunc: (dy: Tensor, [kept]: Tensor[]) => {
        const dz = tf.mul(dy, inside(tf, kept!));
        return [dz, tf.sum(dz, [0, 1, 2])];
      },
    };
  })(x, bias) as Tensor4D;
}

/** 1 where relu6 passes its input on, 0 where it clips. */
function inside(tf: Tf, y: Tensor): Tensor {
  return tf.cast(tf.logicalAnd(tf.greater(y, 0), tf.less(y, 6)), 'float32');
}
