import { describe, expect, it } from 'vitest';
import { GraphBuilder, batchOf } from '../../../lib/export/graph-builder.ts';
import { decodeModel, encodeModel } from '../../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../../lib/export/onnx-proto.ts';
import { affineOf, roundHalfEven, roundTrip } from '../../../lib/export/quantise/affine.ts';
import type { Range } from '../../../lib/export/quantise/affine.ts';
import { quantiseBias, quantiseKernel } from '../../../lib/export/quantise/kernel.ts';
import { planQuantisation } from '../../../lib/export/quantise/plan.ts';
import { quantiseGraph } from '../../../lib/export/quantise/quantise-graph.ts';
import { Histogram, RangeObserver, chooseRange } from '../../../lib/export/quantise/ranges.ts';
import { randomFrom } from '../../../lib/images/random.ts';
import { checkByOnnx, hasOnnxChecker } from '../../support/onnx-checker.ts';
import { runOnnx } from './tfjs.ts';

function uniform(length: number, seed: number, low = -1, high = 1): Float32Array {
  const random = randomFrom(seed);
  return Float32Array.from({ length }, () => low + (high - low) * random());
}

describe('affineOf', () => {
  it('holds zero exactly and every value of the range within half a step', () => {
    for (const range of [
      { min: -1.7, max: 3.1 },
      { min: 0, max: 6 },
      { min: -4, max: 0 },
      { min: 2, max: 3 },
      { min: -3, max: -1 },
    ]) {
      const affine = affineOf(range);
      expect(roundTrip(0, affine)).toBe(0);
      for (let i = 0; i <= 100; i++) {
        const value = range.min + ((range.max - range.min) * i) / 100;
        expect(Math.abs(roundTrip(value, affine) - value)).toBeLessThanOrEqual(affine.scale * 0.5000001);
      }
    }
  });

  it('cuts what lies outside', () => {
    const affine = affineOf({ min: 0, max: 6 });
    expect(roundTrip(100, affine)).toBeCloseTo(6, 5);
    expect(roundTrip(-100, affine)).toBe(0);
  });

  it('takes a value that is always zero, and refuses infinity', () => {
    expect(affineOf({ min: 0, max: 0 })).toEqual({ scale: 1, zeroPoint: 0 });
    expect(() => affineOf({ min: 0, max: Number.POSITIVE_INFINITY })).toThrow('finite range');
  });

  it('rounds ties to even, as ONNX does', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 0.49, -2.51].map((value) => roundHalfEven(value) + 0)).toEqual([
      0, 2, 2, 0, -2, 0, -3,
    ]);
  });
});

describe('quantiseKernel', () => {
  it('gives each output its own scale, its largest weight all of i8, and no weight more than half a step', () => {
    const data = uniform(4 * 9, 1).map((value, i) => value * 10 ** (Math.floor(i / 9) - 2));
    const { values, scales } = quantiseKernel(data, undefined, 4, 0.1, 127);
    for (let o = 0; o < 4; o++) {
      const row = [...data.subarray(o * 9, (o + 1) * 9)];
      const largest = Math.max(...row.map(Math.abs));
      expect(scales[o]).toBeCloseTo(largest / 127, 8);
      expect(Math.max(...[...values.subarray(o * 9, (o + 1) * 9)].map(Math.abs))).toBe(127);
      row.forEach((value, i) => {
        const error = Math.abs(values[o * 9 + i]! * scales[o]! - value);
        expect(error).toBeLessThanOrEqual(scales[o]! * 0.500001);
      });
    }
  });

  it('keeps to fewer levels where asked', () => {
    const { values } = quantiseKernel(uniform(90, 2), undefined, 10, 0.1, 63);
    expect(Math.max(...values)).toBeLessThanOrEqual(63);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(-63);
  });

  it('widens the scale of an output whose bias would not fit into 32 bits', () => {
    const data = Float32Array.of(1e-12, -1e-12, 0.5, 0.25);
    const bias = Float32Array.of(3, -0.5);
    const { scales } = quantiseKernel(data, bias, 2, 0.01, 127);
    const whole = quantiseBias(bias, 0.01, scales);
    expect([...whole].map((value, o) => value * 0.01 * scales[o]!)).toEqual([
      expect.closeTo(3, 6),
      expect.closeTo(-0.5, 2),
    ]);
    expect(scales[1]).toBeCloseTo(0.5 / 127, 8);
  });

  it('leaves an output without weights alone', () => {
    const { values, scales } = quantiseKernel(new Float32Array(4), undefined, 2, 1, 127);
    expect([...values]).toEqual([0, 0, 0, 0]);
    expect([...scales]).toEqual([1, 1]);
  });
});

describe('ranges', () => {
  const histogramOf = (values: Float32Array): Histogram => {
    const observer = new RangeObserver();
    observer.observe(values.subarray(0, values.length / 2), 'x');
    observer.observe(values.subarray(values.length / 2), 'x');
    const histogram = new Histogram(observer.range());
    histogram.observe(values);
    return histogram;
  };
  /** A bell with a few values far out. */
  const withOutliers = (): Float32Array => {
    const random = randomFrom(5);
    const values = Float32Array.from({ length: 20_000 }, () =>
      Array.from({ length: 12 }, random).reduce((sum, value) => sum + value, -6),
    );
    values[7] = 40;
    values[8] = -35;
    return values;
  };

  it('takes all that was seen for minMax', () => {
    const values = uniform(1000, 3, -2, 5);
    expect(chooseRange(histogramOf(values), { kind: 'minMax' })).toEqual({
      min: Math.min(...values),
      max: Math.max(...values),
    });
  });

  it('leaves the asked share inside for a percentile, half of the rest on each side', () => {
    const values = withOutliers();
    const sorted = values.toSorted();
    const { min, max } = chooseRange(histogramOf(values), { kind: 'percentile', share: 0.99 });
    const binWidth = 75 / 2048;
    expect(Math.abs(min - sorted[100]!)).toBeLessThan(2 * binWidth);
    expect(Math.abs(max - sorted[sorted.length - 101]!)).toBeLessThan(2 * binWidth);
  });

  it('cuts one side only of values that are never negative', () => {
    const values = uniform(10_000, 4, 0, 6);
    values[0] = 0;
    const { min, max } = chooseRange(histogramOf(values), { kind: 'percentile', share: 0.9 });
    expect(min).toBe(0);
    expect(max).toBeCloseTo(5.4, 1);
  });

  it('gives up outliers where rounding the rest finer is worth more, and nothing of an even spread', () => {
    const values = withOutliers();
    const error = (range: Range, of: Float32Array): number => {
      const affine = affineOf(range);
      return of.reduce((sum, value) => sum + (roundTrip(value, affine) - value) ** 2, 0);
    };
    const all = { min: Math.min(...values), max: Math.max(...values) };
    const chosen = chooseRange(histogramOf(values), { kind: 'meanSquares' });
    expect(error(chosen, values)).toBeLessThan(error(all, values));
    const even = uniform(20_000, 6, -3, 3);
    const kept = chooseRange(histogramOf(even), { kind: 'meanSquares' });
    expect(kept.max).toBeGreaterThan(2.85);
  });

  it('refuses NaN by the name of the value', () => {
    expect(() => new RangeObserver().observe(Float32Array.of(1, Number.NaN), 'block3')).toThrow('"block3"');
  });
});

const [CHANNELS, SIZE] = [4, 6];

/** image -> conv -> clip -> depthwise conv -> sum with the clip -> mean. */
function network(): ModelProto {
  const graph = new GraphBuilder();
  const low = graph.weight('low', [], Float32Array.of(0));
  const high = graph.weight('high', [], Float32Array.of(1.5));
  const kernel = graph.weight('first/kernel', [CHANNELS, 3, 3, 3], uniform(CHANNELS * 27, 11, -0.4, 0.4));
  const bias = graph.weight('first/bias', [CHANNELS], uniform(CHANNELS, 12, -0.3, 0.6));
  const pads = [1, 1, 1, 1];
  const first = graph.add('Conv', 'first', ['image', kernel, bias], { pads });
  const cut = graph.add('Clip', 'cut', [first, low, high]);
  const depthwise = graph.weight('second/kernel', [CHANNELS, 1, 3, 3], uniform(CHANNELS * 9, 13));
  const second = graph.add('Conv', 'second', [cut, depthwise], { group: CHANNELS, pads });
  const sum = graph.add('Add', 'sum', [second, cut]);
  const mean = graph.add('GlobalAveragePool', 'mean', [sum]);
  graph.add('Flatten', 'features', [mean]);
  return graph.finish('small', batchOf('image', [3, SIZE, SIZE]), batchOf('features', [CHANNELS]), {});
}

const IMAGE = uniform(3 * SIZE * SIZE, 21);
const WIDE: ReadonlyMap<string, Range> = new Map([
  ['image', { min: -1, max: 1 }],
  ['cut', { min: 0, max: 9 }],
  ['second', { min: -6, max: 6 }],
  ['sum', { min: -6, max: 8 }],
]);

describe('planQuantisation', () => {
  it('takes convolutions, what they read and make, and sums of such; an activation is folded into the range', () => {
    const plan = planQuantisation(network());
    expect(plan.convs.map(({ node, activation, output }) => [node.name, activation?.name, output])).toEqual([
      ['first', 'cut', 'cut'],
      ['second', undefined, 'second'],
    ]);
    expect(plan.values).toEqual(['image', 'cut', 'second', 'sum']);
    expect([...plan.limits]).toEqual([['cut', { min: 0, max: 1.5 }]]);
  });

  it('leaves what it is told to leave', () => {
    const plan = planQuantisation(network(), new Set(['first']));
    expect(plan.convs.map(({ node }) => node.name)).toEqual(['second']);
    expect(plan.values).toEqual(['cut', 'second', 'sum']);
  });

  it('does not fold an activation when something else reads what stands before it', () => {
    const model = network();
    model.graph.node.find(({ name }) => name === 'sum')!.input = ['second', 'first'];
    const plan = planQuantisation(model);
    expect(plan.convs[0]!.activation).toBeUndefined();
    expect(plan.values).toContain('first');
  });

  it('refuses a graph without convolutions, and one from before scales for each channel', () => {
    const bare = network();
    bare.graph.node = bare.graph.node.filter(({ op_type: op }) => op !== 'Conv');
    expect(() => planQuantisation(bare)).toThrow('found none');
    expect(() => planQuantisation({ ...network(), opset_import: [{ version: 12 }] })).toThrow('got 12');
  });
});

describe('quantiseGraph', () => {
  const quantised = (): ModelProto => quantiseGraph(network(), planQuantisation(network()), WIDE, 127);

  it('computes what the f32 graph computes, within the errors of each rounding', async () => {
    const exact = await runOnnx(encodeModel(network()), IMAGE, [1, 3, SIZE, SIZE]);
    const actual = await runOnnx(encodeModel(quantised()), IMAGE, [1, 3, SIZE, SIZE]);
    // Each layer adds: half a step of its input times its weights, half a step of a weight times its inputs, half a step of its output.
    const half = (name: string): number => affineOf(WIDE.get(name)!).scale / 2;
    const [first, second] = [27 * 0.4, 9 * 1];
    const cut = half('image') * first + 27 * (0.4 / 254) + affineOf({ min: 0, max: 1.5 }).scale / 2;
    const conv = cut * second + 9 * 1.5 * (1 / 254) + half('second');
    const bound = conv + cut + half('sum');
    const errors = [...exact].map((value, i) => Math.abs(value - actual[i]!));
    expect(Math.max(...errors)).toBeLessThan(bound);
    // The bound adds up worst cases; the mean over 36 places is far better.
    expect(Math.max(...errors)).toBeLessThan(bound / 10);
    expect(Math.max(...errors)).toBeGreaterThan(0);
  });

  it('cuts where the activation did, although that is gone', async () => {
    const model = quantised();
    expect(model.graph.node.map(({ op_type: op }) => op)).not.toContain('Clip');
    model.graph.output.push({ name: 'cut:restored', type: { tensor_type: { elem_type: 1 } } });
    // Loud enough for the f32 graph to reach the clip.
    const loud = IMAGE.map(Math.sign);
    const { InferenceSession, Tensor } = await import('onnxruntime-node');
    const session = await InferenceSession.create(encodeModel(model));
    const results = await session.run({ image: new Tensor('float32', loud, [1, 3, SIZE, SIZE]) });
    const cut = results['cut:restored']!.data as Float32Array;
    expect(Math.min(...cut)).toBe(0);
    expect(Math.max(...cut)).toBeCloseTo(1.5, 5);
  });

  it('gives equal bytes for equal graphs and ranges, and drops weights that nothing reads', () => {
    expect(encodeModel(quantised())).toEqual(encodeModel(quantised()));
    const names = quantised().graph.initializer.map(({ name }) => name);
    expect(names).not.toContain('first/kernel');
    expect(names).not.toContain('high');
    expect(new Set(names).size).toBe(names.length);
  });

  it('keeps weights as one byte each, with a scale for each output', () => {
    const { graph } = decodeModel(encodeModel(quantised()));
    const find = (name: string) => graph.initializer.find((tensor) => tensor.name === name)!;
    expect(find('cut:kernel:quantised')).toMatchObject({ data_type: 3, dims: [CHANNELS, 3, 3, 3] });
    expect(find('cut:kernel:quantised').raw_data).toHaveLength(CHANNELS * 27);
    expect(find('cut:kernel:scale').dims).toEqual([CHANNELS]);
    expect(find('cut:bias:quantised')).toMatchObject({ data_type: 6, dims: [CHANNELS] });
  });

  it('asks for the range of every value', () => {
    const some = new Map([...WIDE].filter(([name]) => name !== 'sum'));
    expect(() => quantiseGraph(network(), planQuantisation(network()), some, 127)).toThrow('"sum"');
  });

  it.skipIf(!hasOnnxChecker)('passes the checker of the ONNX project', () => {
    checkByOnnx(encodeModel(quantised()));
    checkByOnnx(encodeModel(quantiseGraph(network(), planQuantisation(network(), new Set(['first'])), WIDE, 63)));
  });
});
