import { BLOCKS, FEATURE_DIM } from '../nn/efficientnet-lite0.ts';

/** One convolution with its bias and, where `relu6`, its activation; batch norm is folded into both. */
export interface ConvUnit {
  /** The name of its node in `backbone.onnx`. */
  name: string;
  kind: 'dense' | 'pointwise' | 'depthwise';
  kernel: number;
  stride: 1 | 2;
  in: number;
  out: number;
  relu6: boolean;
}

/** What is frozen or learns as a whole: the stem, one of the sixteen blocks, or the last convolution. */
export interface Stage {
  name: string;
  units: ConvUnit[];
  /** The stage's input is added to what the units make of it. */
  hasShortcut: boolean;
  /** The value of `backbone.onnx` that it ends in. */
  output: string;
}

export const NUM_BLOCKS = BLOCKS.length;
const STEM_WIDTH = BLOCKS[0]!.in;

/** EfficientNet-Lite0 from picture to the values that are averaged into features, in order. */
export const STAGES: readonly Stage[] = [
  stage('stem', [{ name: 'stem_conv', kind: 'dense', kernel: 3, stride: 2, in: 3, out: STEM_WIDTH, relu6: true }]),
  ...BLOCKS.map((spec, i) => {
    const name = `block${i}`;
    const wide = spec.in * spec.expand;
    const pointwise = { kind: 'pointwise', kernel: 1, stride: 1 } as const;
    const expand: ConvUnit = { ...pointwise, name: `${name}_expand_conv`, in: spec.in, out: wide, relu6: true };
    const depthwise: ConvUnit = {
      ...{ name: `${name}_depthwise_conv`, kind: 'depthwise', kernel: spec.kernel, stride: spec.stride },
      ...{ in: wide, out: wide, relu6: true },
    };
    const project: ConvUnit = { ...pointwise, name: `${name}_project_conv`, in: wide, out: spec.out, relu6: false };
    const units = [...(spec.expand > 1 ? [expand] : []), depthwise, project];
    return stage(name, units, spec.stride === 1 && spec.in === spec.out);
  }),
  stage('head', [
    {
      name: 'head_conv',
      kind: 'pointwise',
      kernel: 1,
      stride: 1,
      in: BLOCKS.at(-1)!.out,
      out: FEATURE_DIM,
      relu6: true,
    },
  ]),
];

function stage(name: string, units: ConvUnit[], hasShortcut = false): Stage {
  const last = units.at(-1)!;
  const activated = last.relu6 ? `${name}_relu6` : last.name;
  return { name, units, hasShortcut, output: hasShortcut ? `${name}_add` : activated };
}

/** Where the network is cut: what stays as it is ends in `output`, [channels, side, side] of each picture; `stages` learn. */
export interface Cut {
  /** Null: nothing is frozen, and what stands at the cut is the picture. */
  output: string | null;
  channels: number;
  side: number;
  stages: readonly Stage[];
}

/**
 * @param blocks how many of the last blocks learn, besides the last convolution, 0…16; with 16 the stem learns too
 * @param size side of the picture
 */
export function cutBefore(blocks: number, size: number): Cut {
  if (blocks === NUM_BLOCKS) return { output: null, channels: 3, side: size, stages: STAGES };
  const first = STAGES.length - 1 - blocks;
  const frozen = STAGES.slice(0, first);
  const side = frozen.flatMap(({ units }) => units).reduce((length, { stride }) => Math.ceil(length / stride), size);
  const last = frozen.at(-1)!;
  return { output: last.output, channels: last.units.at(-1)!.out, side, stages: STAGES.slice(first) };
}
