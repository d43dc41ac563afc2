import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../../infra/config/env.ts';
import { ensureBackbone } from '../../../infra/models/ensure-backbone.ts';
import { modelSummaryOf } from '../../../infra/models/model-summary.ts';
import { runOnce } from '../../../infra/models/run-once.ts';
import { preprocess } from '../../../lib/images/preprocess.ts';
import type { LayersModel, Tensor, Tf } from '../../../lib/nn/tf.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { maxAbsDiff, plainTf, randomise } from '../../lib/export/tfjs.ts';
import { SMALL, SMALL_FEATURES, emoji, openArtifacts, smallNetwork } from './small-backbone.ts';

let tf: Tf;
beforeAll(async () => {
  tf = await plainTf();
});

interface ModelJson {
  format: string;
  modelTopology: object;
  weightsManifest: { paths: string[]; weights: object[] }[];
}

/** Writes a model the way tfjs's own file handler does, its weights in two files; gives the path of `model.json`. */
async function save(model: LayersModel, folder: string, change: (json: ModelJson) => void = () => undefined) {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'model.json');
  await model.save(
    tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
      const bytes = Buffer.from(weightData as ArrayBuffer);
      writeFileSync(join(folder, 'group1-shard1of2.bin'), bytes.subarray(0, 100));
      writeFileSync(join(folder, 'group1-shard2of2.bin'), bytes.subarray(100));
      const paths = ['group1-shard1of2.bin', 'group1-shard2of2.bin'];
      const json = {
        format: 'layers-model',
        modelTopology: modelTopology as object,
        weightsManifest: [{ paths, weights: weightSpecs! }],
      };
      change(json);
      writeFileSync(path, JSON.stringify(json));
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    }),
  );
  writeFileSync(`${path}.json`, JSON.stringify(SMALL));
  return path;
}

async function open() {
  const folder = temporaryFolder();
  const stores = await openArtifacts(folder);
  const config = loadConfig({ LOOKALIKE_DATA_DIR: folder, LOOKALIKE_CACHE_DIR: folder, LOOKALIKE_BACKEND: 'cpu' });
  return { folder, stores, adopt: (path: string) => ensureBackbone(stores, config, `file:${path}`) };
}

/** Convolution, batch norm, activation: what the wider world's networks begin with. */
function sequential(): LayersModel {
  const { layers } = tf;
  const model = tf.sequential({
    layers: [
      layers.conv2d({
        inputShape: [SMALL.size, SMALL.size, 3],
        filters: 6,
        kernelSize: 3,
        strides: 2,
        padding: 'same',
      }),
      layers.batchNormalization(),
      layers.reLU(),
      layers.globalAveragePooling2d({}),
      layers.dense({ units: 7 }),
    ],
  });
  randomise(tf, model, 3);
  return model;
}

describe('a user’s own tfjs backbone', () => {
  it.each([
    ['functional', () => smallNetwork(tf), SMALL_FEATURES],
    ['sequential', sequential, 7],
  ])('(%s) gives in ONNX what it gives in tfjs, and is found the second time', async (_, build, featureDim) => {
    const { folder, stores, adopt } = await open();
    const network = build();
    const path = await save(network, join(folder, 'my-network'));
    const tensors = tf.memory().numTensors;
    const backbone = await adopt(path);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(modelSummaryOf(backbone)).toEqual({
      ...{ stage: 'backbone', name: 'my-network', dim: featureDim, featureDim, preprocessing: SMALL, backbone: null },
    });
    expect(backbone.manifest.metrics).toEqual({ imagesCheckedAgainstTfjs: 2 });

    const [picture] = await emoji('1f697');
    const image = await preprocess(picture!, SMALL);
    const shape = [1, 3, SMALL.size, SMALL.size];
    const onnx = readFileSync(await stores.artifacts.materialise(backbone.id, 'backbone.onnx'));
    const expected = tf.tidy(() =>
      (network.predict(tf.transpose(tf.tensor(image, shape), [0, 2, 3, 1])) as Tensor).dataSync(),
    );
    const actual = await runOnce(onnx, image, shape);
    expect(new Set(actual).size).toBeGreaterThan(1);
    expect(maxAbsDiff(actual, expected)).toBeLessThan(1e-5);

    expect((await adopt(path)).id).toBe(backbone.id);
    expect(await stores.artifacts.list('model')).toHaveLength(1);
  });

  it('is another model when a weight changes', async () => {
    const { folder, adopt } = await open();
    const network = smallNetwork(tf);
    const before = await adopt(await save(network, join(folder, 'a')));
    randomise(tf, network, 12);
    expect((await adopt(await save(network, join(folder, 'a')))).id).not.toBe(before.id);
  });

  it('is refused by the layer that has no translation', async () => {
    const { folder, adopt } = await open();
    const pool = tf.layers.maxPooling2d({ name: 'squeeze', inputShape: [SMALL.size, SMALL.size, 3], poolSize: 2 });
    const model = tf.sequential({ layers: [pool, tf.layers.globalAveragePooling2d({})] });
    await expect(adopt(await save(model, folder))).rejects.toThrow(
      /"squeeze" cannot be exported to ONNX: expected one of Conv2D, .*, got MaxPooling2D/,
    );
  });

  it('is refused with the reason when its sides do not fit the preprocessing', async () => {
    const { folder, adopt } = await open();
    const path = await save(smallNetwork(tf), folder);
    writeFileSync(`${path}.json`, JSON.stringify({ ...SMALL, size: 24 }));
    await expect(adopt(path)).rejects.toThrow(
      'Expected one input of [24, 24, 3] and one output of one side, got [32, 32, 3]',
    );
    const convolution = tf.layers.conv2d({ inputShape: [SMALL.size, SMALL.size, 3], filters: 2, kernelSize: 3 });
    const map = await save(tf.sequential({ layers: [convolution] }), join(folder, 'map'));
    await expect(adopt(map)).rejects.toThrow('got [32, 32, 3] and [30, 30, 2]');
  });

  it('is refused with the reason when a part is missing, foreign or damaged', async () => {
    const { folder, adopt, stores } = await open();
    const path = join(folder, 'broken', 'model.json');
    await expect(adopt(path)).rejects.toThrow(`Expected a saved tfjs model at ${path}`);
    const broken = (change?: (json: ModelJson) => void) => save(smallNetwork(tf), join(folder, 'broken'), change);
    await broken((json) => (json.format = 'graph-model'));
    await expect(adopt(path)).rejects.toThrow('it is a graph-model');
    await broken((json) => (json.weightsManifest[0]!.paths[0] = '../outside.bin'));
    await expect(adopt(path)).rejects.toThrow('got "../outside.bin"');
    await broken((json) => (json.weightsManifest[0]!.paths[0] = 'absent.bin'));
    await expect(adopt(path)).rejects.toMatchObject({ code: 'notFound' });
    await broken((json) => json.weightsManifest[0]!.paths.pop());
    await expect(adopt(path)).rejects.toThrow('tfjs does not load it');
    await broken((json) => json.weightsManifest[0]!.weights.pop());
    await expect(adopt(path)).rejects.toThrow('tfjs does not load it');
    await broken();
    writeFileSync(path, '{"modelTopology"');
    await expect(adopt(path)).rejects.toThrow(`Expected JSON in ${path}`);
    writeFileSync(path, 'secret');
    const error = await adopt(path).catch((reason: unknown) => reason);
    expect(inspect(error)).not.toContain('secret');
    const network = smallNetwork(tf);
    network.setWeights(network.getWeights().map((weight) => tf.fill(weight.shape, Number.NaN)));
    await expect(adopt(await save(network, join(folder, 'nan')))).rejects.toMatchObject({ code: 'nonFinite' });
    expect(await stores.artifacts.list('model')).toEqual([]);
  });
});
