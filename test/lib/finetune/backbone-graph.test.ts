import type { Tensor, Tensor4D } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeModel } from '../../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../../lib/export/onnx-proto.ts';
import {
  expectNetwork,
  frozenPart,
  readUnits,
  withInputSize,
  withUnits,
} from '../../../lib/finetune/backbone-graph.ts';
import { NUM_BLOCKS, cutBefore } from '../../../lib/finetune/network.ts';
import { runStages, unitShapes } from '../../../lib/finetune/tail.ts';
import type { Tf } from '../../../lib/nn/tf.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { maxAbsDiff, plainTf, runOnnx } from '../export/tfjs.ts';
import { softBackbone } from './soft-backbone.ts';

let tf: Tf;
let graph: ModelProto;
/** Side of the pictures: small, since the backend under test is plain JavaScript. */
const SIZE = 64;
const picture = normals(3 * SIZE ** 2, randomOf('picture'));
const shape = [1, 3, SIZE, SIZE];

beforeAll(async () => {
  tf = await plainTf();
  graph = softBackbone(tf, SIZE);
});

describe('a backbone cut in two', () => {
  it.each([0, 1, NUM_BLOCKS])(
    'computes, frozen part and last %i blocks, what the whole graph computes',
    async (blocks) => {
      const cut = cutBefore(blocks, SIZE);
      const held = await runOnnx(encodeModel(frozenPart(graph, cut, SIZE)), picture, shape);
      expect(held.length).toBe(cut.channels * cut.side ** 2);
      const values = readUnits(
        graph,
        cut.stages.flatMap(({ units }) => units),
      );
      const features = tf.tidy(() => {
        const weights: Record<string, Tensor> = {};
        for (const { name, shape: own } of cut.stages.flatMap(({ units }) => units).flatMap(unitShapes)) {
          weights[name] = tf.tensor(values[name]!, own);
        }
        const x = tf.transpose<Tensor4D>(tf.tensor4d(held, [1, cut.channels, cut.side, cut.side]), [0, 2, 3, 1]);
        return runStages(tf, cut.stages, x, weights).dataSync();
      });
      const whole = await runOnnx(encodeModel(graph), picture, shape);
      expect(Math.max(...whole)).toBeGreaterThan(0.1);
      expect(maxAbsDiff(features, whole)).toBeLessThan(1e-3);
    },
  );

  it('takes back what was read from it to the byte, and computes something else with other weights', async () => {
    const units = cutBefore(2, SIZE).stages.flatMap((stage) => stage.units);
    const values = readUnits(graph, units);
    expect(Buffer.compare(encodeModel(withUnits(graph, units, values)), encodeModel(graph))).toBe(0);
    const changed = { ...values, 'head_conv/kernel': values['head_conv/kernel']!.map((value) => value * 1.5) };
    const [before, after] = [
      await runOnnx(encodeModel(graph), picture, shape),
      await runOnnx(encodeModel(withUnits(graph, units, changed)), picture, shape),
    ];
    expect(maxAbsDiff(before, after)).toBeGreaterThan(0.01);
  });

  it('refuses another network, saying what is missing', () => {
    const other = { ...graph, graph: { ...graph.graph, initializer: graph.graph.initializer.slice(1) } };
    expect(() => expectNetwork(other)).toThrow(/EfficientNet-Lite0.*stem_conv\/kernel/);
    expect(() => expectNetwork(graph)).not.toThrow();
    expect(() => withInputSize(graph, 100)).toThrow(/32 divides/);
  });
});
