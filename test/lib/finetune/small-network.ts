import type { FinetuneConfig } from '../../../contracts/finetune.ts';
import type { UnitValues } from '../../../lib/finetune/backbone-graph.ts';
import type { Cut, Stage } from '../../../lib/finetune/network.ts';
import type { FinetuneData } from '../../../lib/finetune/program.ts';
import { unitShapes } from '../../../lib/finetune/tail.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';

const pointwise = { kind: 'pointwise', kernel: 1, stride: 1 } as const;

/** The kinds of stages that there are, a few channels wide: 3 channels of 6 x 6 to 5 features. */
export const SMALL_STAGES: readonly Stage[] = [
  {
    name: 'stem',
    hasShortcut: false,
    output: 'stem_relu6',
    units: [{ name: 'stem', kind: 'dense', kernel: 3, stride: 2, in: 3, out: 4, relu6: true }],
  },
  {
    name: 'block',
    hasShortcut: true,
    output: 'block_add',
    units: [
      { ...pointwise, name: 'expand', in: 4, out: 6, relu6: true },
      { name: 'depthwise', kind: 'depthwise', kernel: 3, stride: 1, in: 6, out: 6, relu6: true },
      { ...pointwise, name: 'project', in: 6, out: 4, relu6: false },
    ],
  },
  {
    name: 'last',
    hasShortcut: false,
    output: 'last_relu6',
    units: [{ ...pointwise, name: 'last', in: 4, out: 5, relu6: true }],
  },
];

/** Cut before stage `first`. */
export function smallCut(first: number): Cut {
  return first === 0
    ? { output: null, channels: 3, side: 6, stages: SMALL_STAGES }
    : { output: SMALL_STAGES[first - 1]!.output, channels: 4, side: 3, stages: SMALL_STAGES.slice(first) };
}

/** Large enough that some activations are clipped at either end. */
export function smallValues(seed = 1): UnitValues {
  return Object.fromEntries(
    SMALL_STAGES.flatMap(({ units }) => units)
      .flatMap(unitShapes)
      .map(({ name, shape }) => {
        const length = shape.reduce((product, side) => product * side, 1);
        return [name, normals(length, randomOf(seed, name)).map((value) => value * 1.2)];
      }),
  );
}

export const SMALL_CONFIG: FinetuneConfig = {
  blocks: 1,
  size: 32,
  outputSize: 32,
  views: 2,
  dim: 3,
  loss: { kind: 'proxySoftmax', scale: 8, margin: 0.1 },
  learningRate: 0.02,
  headLearningRate: 0.05,
  layerDecay: 0.8,
  weightDecay: 0.1,
  warmupEpochs: 1,
  epochs: 6,
  labelsPerBatch: 4,
  samplesPerLabel: 2,
  dropout: 0.1,
  averaging: 0.9,
  keep: 0,
  checkpointEverySteps: 5,
  seed: 3,
};

/** Labels that differ by a pattern under noise: `numPictures` pictures in two views at a cut. */
export function smallData(
  { channels, side }: Pick<Cut, 'channels' | 'side'>,
  numPictures = 24,
  numLabels = 4,
): FinetuneData {
  const width = channels * side ** 2;
  const patterns = Array.from({ length: numLabels }, (_, label) => normals(width, randomOf('pattern', label)));
  const row = (picture: number, view: number): Float32Array => {
    const noise = normals(width, randomOf('noise', picture, view));
    return patterns[picture % numLabels]!.map((value, i) => value + 1.5 * noise[i]!);
  };
  const source = (views: number, from: number) => ({
    read(rows: Int32Array): Promise<Float32Array> {
      const out = new Float32Array(rows.length * width);
      rows.forEach((at, i) => out.set(row(from + Math.floor(at / views), at % views), i * width));
      return Promise.resolve(out);
    },
  });
  const named = (count: number, from: number) => ({
    labels: Array.from({ length: count }, (_, i) => `label ${(from + i) % numLabels}`),
    source: source(1, from),
  });
  return {
    views: 2,
    labels: Int32Array.from({ length: numPictures }, (_, picture) => picture % numLabels),
    numLabels,
    train: source(2, 0),
    queries: named(16, 1000),
    answers: named(numLabels, 0),
  };
}
