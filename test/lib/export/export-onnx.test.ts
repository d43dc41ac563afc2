import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { exportOnnx } from '../../../lib/export/export-onnx.ts';
import { composeOnnx, exportHead } from '../../../lib/export/head.ts';
import { ONNX_DESCRIPTOR } from '../../../lib/export/onnx-descriptor.ts';
import { decodeModel } from '../../../lib/export/onnx-proto.ts';
import { buildHead } from '../../../lib/nn/head.ts';
import type { LayersModel, SymbolicTensor, Tf } from '../../../lib/nn/tf.ts';
import { descriptorModule } from '../../../tools/embed-onnx-proto.ts';
import { checkByOnnx, hasOnnxChecker } from '../../support/onnx-checker.ts';
import { maxAbsDiff, plainTf, randomise, runOnnx } from './tfjs.ts';

let tf: Tf;
beforeAll(async () => {
  tf = await plainTf();
});

const OPTIONS = { name: 'test', input: 'in', output: 'out' };

/** Exports the model and compares both on random rows. Returns the op types of the graph. */
async function expectEqualInOnnx(model: LayersModel): Promise<string[]> {
  randomise(tf, model, 1);
  const sides = model.inputs[0]!.shape.slice(1) as number[];
  const input = tf.randomUniform([2, ...sides], -2, 2, 'float32', 99);
  const expected = await (model.predict(input) as ReturnType<Tf['tensor']>).data();
  const isImage = sides.length === 3;
  const shape = isImage ? [2, sides[2]!, sides[0]!, sides[1]!] : [2, ...sides];
  const data = await (isImage ? tf.transpose(input, [0, 3, 1, 2]) : input).data<'float32'>();
  const bytes = exportOnnx(model, OPTIONS);
  expect(exportOnnx(model, OPTIONS)).toEqual(bytes);
  const actual = await runOnnx(bytes, data, shape);
  expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0);
  expect(maxAbsDiff(expected, actual)).toBeLessThan(1e-4);
  return decodeModel(bytes).graph.node.map((node) => node.op_type);
}

function imageModel(build: (x: SymbolicTensor) => SymbolicTensor, size = 9): LayersModel {
  const input = tf.input({ shape: [size, size + 2, 3] });
  const pooled = tf.layers.globalAveragePooling2d({}).apply(build(input)) as SymbolicTensor;
  return tf.model({ inputs: input, outputs: pooled });
}
const apply = (layer: { apply(x: SymbolicTensor): unknown }, x: SymbolicTensor): SymbolicTensor =>
  layer.apply(x) as SymbolicTensor;

describe('exportOnnx', () => {
  it.each([
    ['same', 1, 1, 3, 9],
    ['same', 2, 1, 3, 9],
    ['same', 2, 1, 3, 8],
    ['same', 2, 1, 5, 8],
    ['valid', 2, 1, 3, 9],
    ['same', 1, 2, 3, 9],
  ] as const)(
    'agrees on Conv2D: %s, stride %i, dilation %i, kernel %i, size %i',
    async (padding, strides, dilationRate, kernelSize, size) => {
      const ops = await expectEqualInOnnx(
        imageModel((x) => apply(tf.layers.conv2d({ filters: 4, kernelSize, strides, padding, dilationRate }), x), size),
      );
      expect(ops).toContain('Conv');
    },
  );

  it.each([1, 2] as const)('agrees on DepthwiseConv2D with multiplier %i', async (depthMultiplier) => {
    await expectEqualInOnnx(
      imageModel((x) =>
        apply(tf.layers.depthwiseConv2d({ kernelSize: 3, strides: 2, padding: 'same', depthMultiplier }), x),
      ),
    );
  });

  it('folds a batch norm into the convolution before it', async () => {
    const ops = await expectEqualInOnnx(
      imageModel((x) =>
        apply(tf.layers.batchNormalization({}), apply(tf.layers.conv2d({ filters: 4, kernelSize: 3 }), x)),
      ),
    );
    expect(ops).toEqual(['Conv', 'GlobalAveragePool', 'Flatten', 'Identity']);
  });

  it('does not fold when something else reads the convolution too', async () => {
    const ops = await expectEqualInOnnx(
      imageModel((x) => {
        const convolved = apply(tf.layers.conv2d({ filters: 4, kernelSize: 3 }), x);
        const normalised = apply(tf.layers.batchNormalization({}), convolved);
        return tf.layers.add().apply([convolved, normalised]) as SymbolicTensor;
      }),
    );
    expect(ops).toContain('Mul');
  });

  it('does not fold over an activation, and knows batch norms without scale or centre', async () => {
    await expectEqualInOnnx(
      imageModel((x) => {
        const convolved = apply(tf.layers.conv2d({ filters: 4, kernelSize: 1, activation: 'relu' }), x);
        return apply(
          tf.layers.batchNormalization({ scale: false }),
          apply(tf.layers.batchNormalization({ center: false }), convolved),
        );
      }),
    );
  });

  it.each(['relu', 'relu6', 'sigmoid', 'tanh', 'linear'] as const)(
    'agrees on the activation %s',
    async (activation) => {
      await expectEqualInOnnx(imageModel((x) => apply(tf.layers.activation({ activation }), x)));
    },
  );

  it('agrees on ReLU with and without a maximum, sums of three, and dropout', async () => {
    await expectEqualInOnnx(
      imageModel((x) => {
        const parts = [tf.layers.reLU({ maxValue: 1.5 }), tf.layers.reLU({}), tf.layers.dropout({ rate: 0.5 })];
        return tf.layers.add().apply(parts.map((part) => apply(part, x))) as SymbolicTensor;
      }),
    );
  });

  it('agrees on a dense network with normalised rows', async () => {
    const input = tf.input({ shape: [7] });
    const hidden = apply(tf.layers.dense({ units: 5, activation: 'relu' }), input);
    await expectEqualInOnnx(
      tf.model({ inputs: input, outputs: apply(tf.layers.dense({ units: 4, useBias: false }), hidden) }),
    );
    await expectEqualInOnnx(buildHead(tf, 7, 3));
  });

  it('names a layer that it cannot translate', () => {
    const model = imageModel((x) => apply(tf.layers.maxPooling2d({ poolSize: 2, name: 'shrink' }), x));
    expect(() => exportOnnx(model, OPTIONS)).toThrow(/Layer "shrink" cannot be exported.*MaxPooling2D/);
  });

  it('refuses what would come out wrong', () => {
    const elu = imageModel((x) => apply(tf.layers.activation({ activation: 'elu' }), x));
    expect(() => exportOnnx(elu, OPTIONS)).toThrow('got activation elu');
    const input = tf.input({ shape: [4, 7] });
    const deep = tf.model({ inputs: input, outputs: apply(tf.layers.dense({ units: 2 }), input) });
    expect(() => exportOnnx(deep, OPTIONS)).toThrow('an input of rank 3');
  });
});

describe('exportHead and composeOnnx', () => {
  const [featureDim, dim] = [6, 3];
  const kernel = Float32Array.from({ length: featureDim * dim }, (_, i) => Math.sin(i));
  const bias = Float32Array.of(0.1, -0.2, 0.3);
  const features = Float32Array.from({ length: featureDim }, (_, i) => i - 2);

  it('projects and normalises as computed by hand', async () => {
    const projected = Array.from(bias, (b, d) => features.reduce((sum, f, i) => sum + f * kernel[i * dim + d]!, b));
    const length = Math.hypot(...projected);
    const actual = await runOnnx(exportHead(featureDim, { kernel, bias, dim }), features, [1, featureDim]);
    expect(
      maxAbsDiff(
        projected.map((value) => value / length),
        actual,
      ),
    ).toBeLessThan(1e-6);
  });

  it('only normalises without a projection, and leaves zeros as they are', async () => {
    const head = exportHead(2);
    expect(Array.from(await runOnnx(head, Float32Array.of(3, 4, 0, 0), [2, 2]))).toEqual([
      Math.fround(0.6),
      Math.fround(0.8),
      0,
      0,
    ]);
  });

  it('gives in one graph what backbone and head give one after the other, even when their names meet', async () => {
    const input = tf.input({ shape: [5, 5, 3] });
    const convolved = apply(tf.layers.conv2d({ filters: featureDim, kernelSize: 3, name: 'projection' }), input);
    const pooled = apply(tf.layers.globalAveragePooling2d({ name: 'features' }), convolved);
    const model = tf.model({ inputs: input, outputs: pooled });
    randomise(tf, model, 5);
    const backbone = exportOnnx(model, { name: 'b', input: 'image', output: 'features' });
    const head = exportHead(featureDim, { kernel, bias, dim });
    const image = Float32Array.from({ length: 75 }, (_, i) => Math.cos(i));
    const inSteps = await runOnnx(head, await runOnnx(backbone, image, [1, 3, 5, 5]), [1, featureDim]);
    const whole = composeOnnx(backbone, head);
    expect(maxAbsDiff(inSteps, await runOnnx(whole, image, [1, 3, 5, 5]))).toBeLessThan(1e-6);
    if (hasOnnxChecker) checkByOnnx(whole);
  });

  it('refuses a kernel of the wrong size and a graph too old to carry the head', () => {
    expect(() => exportHead(5, { kernel, bias, dim })).toThrow('Expected a kernel of 5 x 3 values');
    expect(() => composeOnnx(Buffer.from('not a graph'), exportHead(2))).toThrow('Expected an ONNX model');
  });
});

describe('the schema', () => {
  it('is the vendored onnx.proto, embedded', () => {
    const folder = new URL('../../../lib/export/', import.meta.url);
    const module = descriptorModule(readFileSync(new URL('onnx.proto', folder), 'utf8'));
    expect(readFileSync(new URL('onnx-descriptor.ts', folder), 'utf8')).toBe(module);
    expect(module).toContain(JSON.stringify(ONNX_DESCRIPTOR).slice(0, 200));
  });
});
