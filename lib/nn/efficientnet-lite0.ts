import type { LayersModel, SymbolicTensor, Tf } from './tf.ts';

/**
 * EfficientNet-Lite0: the baseline network of Tan & Le 2019 (arXiv 1905.11946, table 1) as its authors adapted it for
 * mobile accelerators: ReLU6 in place of swish, no squeeze-and-excitation, stem and head of fixed width.
 *
 * Shapes are NHWC. Padding is TensorFlow's `same`: with stride 2 the odd pixel goes to the bottom right.
 */
export interface BlockSpec {
  /** Depthwise kernel size. */
  kernel: 3 | 5;
  stride: 1 | 2;
  /** Width of the inverted bottleneck as a multiple of the input's; 1 has no expansion. */
  expand: 1 | 6;
  in: number;
  out: number;
}

export const INPUT_SIZE = 224;
export const FEATURE_DIM = 1280;
const STEM_WIDTH = 32;

/** Table 1 of the paper, stages 2-8: kernel, stride of the first block, expansion, output width, number of blocks. */
const STAGES = [
  { kernel: 3, stride: 1, expand: 1, out: 16, blocks: 1 },
  { kernel: 3, stride: 2, expand: 6, out: 24, blocks: 2 },
  { kernel: 5, stride: 2, expand: 6, out: 40, blocks: 2 },
  { kernel: 3, stride: 2, expand: 6, out: 80, blocks: 3 },
  { kernel: 5, stride: 1, expand: 6, out: 112, blocks: 3 },
  { kernel: 5, stride: 2, expand: 6, out: 192, blocks: 4 },
  { kernel: 3, stride: 1, expand: 6, out: 320, blocks: 1 },
] as const;

/** All blocks in order: the first of a stage changes stride and width, the others keep them. */
export const BLOCKS: readonly BlockSpec[] = STAGES.flatMap((stage, s) =>
  Array.from({ length: stage.blocks }, (_, b): BlockSpec => {
    const before = s === 0 ? STEM_WIDTH : STAGES[s - 1]!.out;
    const { kernel, expand, out } = stage;
    return b === 0
      ? { kernel, stride: stage.stride, expand, in: before, out }
      : { kernel, stride: 1, expand, in: out, out };
  }),
);

/**
 * The network up to its pooled features: [N, 224, 224, 3] -> [N, 1280]. All weights are zero until they are imported.
 * Layers are named `stem_conv`, `stem_bn`, `block3_expand_conv`, `block3_depthwise_bn`, …, `head_conv`, `head_bn`.
 */
export function buildEfficientNetLite0(tf: Tf): LayersModel {
  const image = tf.input({ shape: [INPUT_SIZE, INPUT_SIZE, 3], name: 'image' });
  let x = activated(tf, convolved(tf, image, 'stem', { filters: STEM_WIDTH, kernel: 3, stride: 2 }), 'stem');
  BLOCKS.forEach((spec, i) => (x = block(tf, x, `block${i}`, spec)));
  x = activated(tf, convolved(tf, x, 'head', { filters: FEATURE_DIM, kernel: 1, stride: 1 }), 'head');
  const features = tf.layers.globalAveragePooling2d({ name: 'features' }).apply(x) as SymbolicTensor;
  return tf.model({ inputs: image, outputs: features, name: 'efficientnet-lite0' });
}

/** Inverted bottleneck: widen, filter each channel on its own, narrow; a shortcut where the shape stays. */
function block(tf: Tf, input: SymbolicTensor, name: string, spec: BlockSpec): SymbolicTensor {
  let x = input;
  if (spec.expand > 1) {
    const part = `${name}_expand`;
    x = activated(tf, convolved(tf, x, part, { filters: spec.in * spec.expand, kernel: 1, stride: 1 }), part);
  }
  const depthwise = tf.layers.depthwiseConv2d({
    name: `${name}_depthwise_conv`,
    kernelSize: spec.kernel,
    strides: spec.stride,
    padding: 'same',
    useBias: false,
    depthwiseInitializer: 'zeros',
  });
  x = activated(tf, normalised(tf, depthwise.apply(x) as SymbolicTensor, `${name}_depthwise`), `${name}_depthwise`);
  x = convolved(tf, x, `${name}_project`, { filters: spec.out, kernel: 1, stride: 1 });
  if (spec.stride !== 1 || spec.in !== spec.out) return x;
  return tf.layers.add({ name: `${name}_add` }).apply([x, input]) as SymbolicTensor;
}

function convolved(
  tf: Tf,
  input: SymbolicTensor,
  name: string,
  { filters, kernel, stride }: { filters: number; kernel: number; stride: number },
): SymbolicTensor {
  const layer = tf.layers.conv2d({
    name: `${name}_conv`,
    filters,
    kernelSize: kernel,
    strides: stride,
    padding: 'same',
    useBias: false,
    kernelInitializer: 'zeros',
  });
  return normalised(tf, layer.apply(input) as SymbolicTensor, name);
}

function normalised(tf: Tf, input: SymbolicTensor, name: string): SymbolicTensor {
  return tf.layers.batchNormalization({ name: `${name}_bn`, epsilon: 1e-3 }).apply(input) as SymbolicTensor;
}

function activated(tf: Tf, input: SymbolicTensor, name: string): SymbolicTensor {
  return tf.layers.reLU({ name: `${name}_relu6`, maxValue: 6 }).apply(input) as SymbolicTensor;
}
