import { describe, expect, it } from 'vitest';
import { GraphBuilder, batchOf } from '../../../lib/export/graph-builder.ts';
import { halveWeights } from '../../../lib/export/halve-weights.ts';
import { exportHead } from '../../../lib/export/head.ts';
import { decodeModel, encodeModel } from '../../../lib/export/onnx-proto.ts';
import type { ModelProto } from '../../../lib/export/onnx-proto.ts';
import { floatsOf, tensorOf } from '../../../lib/export/tensors.ts';
import { halfToFloat } from '../../../infra/bench/half.ts';
import { randomFrom } from '../../../lib/images/random.ts';
import { checkByOnnx, hasOnnxChecker } from '../../support/onnx-checker.ts';
import { maxAbsDiff, runOnnx } from './tfjs.ts';

const [FEATURES, DIM] = [40, 24];
const random = randomFrom(3);
const kernel = Float32Array.from({ length: FEATURES * DIM }, () => random() - 0.5);
const bias = Float32Array.from({ length: DIM }, () => random() - 0.5);
const head = exportHead(FEATURES, { kernel, bias, dim: DIM });

describe('halveWeights', () => {
  it('keeps weights as the nearest halves and biases as they are', () => {
    const { graph } = halveWeights(decodeModel(head));
    const half = graph.initializer.find(({ name }) => name === 'projection/kernel:half')!;
    const raw = half.raw_data!;
    const view = new DataView(raw.buffer, raw.byteOffset);
    const values = kernel.map((_, i) => halfToFloat(view.getUint16(i * 2, true)));
    expect(maxAbsDiff(values, kernel)).toBeGreaterThan(0);
    kernel.forEach((value, i) => expect(Math.abs(values[i]! - value)).toBeLessThanOrEqual(Math.abs(value) * 2 ** -11));
    expect(floatsOf(graph.initializer.find(({ name }) => name === 'projection/bias')!)).toEqual(bias);
  });

  it('gives nearly the same vectors from little more than half the bytes', async () => {
    const halved = encodeModel(halveWeights(decodeModel(head)));
    const features = Float32Array.from({ length: FEATURES }, () => random() * 6);
    const [exact, actual] = [
      await runOnnx(head, features, [1, FEATURES]),
      await runOnnx(halved, features, [1, FEATURES]),
    ];
    expect(maxAbsDiff(exact, actual)).toBeLessThan(5e-4);
    expect(halved.length).toBeLessThan(0.65 * head.length);
  });

  it('reads weights that are listed instead of packed', () => {
    const packed = tensorOf('w', [2, 2], Float32Array.of(1, 2, 3, 4));
    expect(floatsOf({ name: 'w', dims: [2, 2], data_type: 1, float_data: [1, 2, 3, 4] })).toEqual(floatsOf(packed));
    expect(floatsOf({ ...packed, dims: [3, 2] })).toBeUndefined();
    expect(floatsOf(tensorOf('w', [1], Int32Array.of(7)))).toBeUndefined();
  });

  it('refuses weights that no half can hold', () => {
    const graph = new GraphBuilder();
    const big = graph.weight('big', [1, 1], Float32Array.of(70_000));
    graph.add('MatMul', 'y', ['x', big]);
    const model: ModelProto = graph.finish('g', batchOf('x', [1]), batchOf('y', [1]), {});
    expect(() => halveWeights(model)).toThrow('"big" to fit into halves (at most 65504), got 70000');
  });

  it.skipIf(!hasOnnxChecker)('passes the checker of the ONNX project', () => {
    checkByOnnx(encodeModel(halveWeights(decodeModel(head))));
  });
});
