import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Artifact, ArtifactStore } from '../../../contracts/artifacts.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import { MAX_ABS_DIFF, agreementOf, expectAgreement } from '../../../infra/models/agreement.ts';
import { ensureBackbone } from '../../../infra/models/ensure-backbone.ts';
import { modelSummaryOf } from '../../../infra/models/model-summary.ts';
import { ensurePretrained, publishHeadModel } from '../../../infra/models/publish-head-model.ts';
import type { HeadModelDraft } from '../../../infra/models/publish-head-model.ts';
import { weightsPath } from '../../../infra/provision/weights.ts';
import type { Tf } from '../../../lib/nn/tf.ts';
import { plainTf } from '../../lib/export/tfjs.ts';
import { SMALL, SMALL_FEATURES, emoji, openArtifacts, publishSmallBackbone, scratchFolder } from './small-backbone.ts';

let tf: Tf;
let folder: string;
let stores: { artifacts: ArtifactStore };
let backbone: Artifact;
beforeAll(async () => {
  tf = await plainTf();
  folder = await scratchFolder();
  stores = await openArtifacts(folder);
  backbone = await publishSmallBackbone(tf, folder, stores);
});

const DIM = 5;
async function draft(change: Partial<HeadModelDraft> = {}): Promise<HeadModelDraft> {
  return {
    stores,
    tf,
    backbone,
    kernel: Float32Array.from({ length: SMALL_FEATURES * DIM }, (_, i) => Math.sin(i + 1)),
    bias: Float32Array.from({ length: DIM }, (_, i) => Math.cos(i)),
    derivation: { inputs: { backbone: backbone.id }, config: { kind: 'test' }, seed: 7 },
    metrics: { 'recall@1': 0.5 },
    name: 'small + projection 5',
    checkImages: await emoji('1f34e', '1f600'),
    ...change,
  };
}

describe('a user’s own ONNX backbone', () => {
  it('becomes a model that says what it needs and gives', () => {
    expect(modelSummaryOf(backbone)).toEqual({
      stage: 'backbone',
      name: 'small',
      dim: SMALL_FEATURES,
      featureDim: SMALL_FEATURES,
      preprocessing: SMALL,
      backbone: null,
    });
  });

  it('is found again by its path and by its id', async () => {
    const config = loadConfig({ LOOKALIKE_DATA_DIR: folder });
    expect((await publishSmallBackbone(tf, folder, stores)).id).toBe(backbone.id);
    expect((await ensureBackbone(stores, config, backbone.id)).id).toBe(backbone.id);
  });

  it('is refused with the reason when a part is missing or wrong', async () => {
    const config = loadConfig({ LOOKALIKE_DATA_DIR: folder });
    const path = join(folder, 'bad.onnx');
    await expect(ensureBackbone(stores, config, `file:${path}`)).rejects.toThrow('Expected an ONNX network at');
    await writeFile(path, 'no graph');
    await expect(ensureBackbone(stores, config, `file:${path}`)).rejects.toThrow('Expected its preprocessing at');
    await writeFile(`${path}.json`, '{"size":32}');
    await expect(ensureBackbone(stores, config, `file:${path}`)).rejects.toThrow('is not a preprocessing');
    await writeFile(`${path}.json`, JSON.stringify(SMALL));
    await expect(ensureBackbone(stores, config, `file:${path}`)).rejects.toThrow('Expected an ONNX model');
    await copyFile(join(folder, 'small.onnx'), path);
    await writeFile(`${path}.json`, JSON.stringify({ ...SMALL, size: 24 }));
    await expect(ensureBackbone(stores, config, `file:${path}`)).rejects.toThrow('[1, 3, 24, 24]');
  });

  it('is refused when the named artefact has a head already', async () => {
    const { id } = await ensurePretrained(stores, backbone.id);
    const config = loadConfig({ LOOKALIKE_DATA_DIR: folder });
    await expect(ensureBackbone(stores, config, id)).rejects.toThrow('it is a model with a head');
  });
});

describe('publishHeadModel', () => {
  it('publishes three graphs, the agreement with tfjs and the metrics, and leaks no tensor', async () => {
    const before = tf.memory().numTensors;
    const model = await publishHeadModel(await draft());
    expect(tf.memory().numTensors).toBe(before);
    expect(Object.keys(model.manifest.files).sort()).toEqual(['backbone.onnx', 'head.onnx', 'model.onnx']);
    expect(modelSummaryOf(model)).toMatchObject({ stage: 'embedding', dim: DIM, backbone: backbone.id });
    expect(model.manifest.metrics).toMatchObject({ 'recall@1': 0.5, exportAgreement: { numImages: 2 } });
    const { maxAbsDiff } = model.manifest.metrics.exportAgreement as { maxAbsDiff: number };
    expect(maxAbsDiff).toBeLessThan(1e-6);
  });

  it('gives equal ids for equal heads, and is found by its derivation', async () => {
    const first = await publishHeadModel(await draft());
    expect((await publishHeadModel(await draft())).id).toBe(first.id);
    const { derivation } = await draft();
    expect((await stores.artifacts.find({ kind: 'model', ...derivation }))?.id).toBe(first.id);
  });

  it('refuses a head with NaN and a head of the wrong size', async () => {
    const kernel = new Float32Array(SMALL_FEATURES * DIM).fill(Number.NaN);
    await expect(publishHeadModel(await draft({ kernel }))).rejects.toMatchObject({ code: 'nonFinite' });
    const short = new Float32Array(3);
    await expect(publishHeadModel(await draft({ kernel: short }))).rejects.toMatchObject({ code: 'dimensionMismatch' });
    await expect(publishHeadModel(await draft({ checkImages: [] }))).rejects.toThrow('at least one picture');
  });
});

describe('the agreement of two computations', () => {
  it('passes equal vectors and refuses ones that differ by more than the tolerance, or are not finite', () => {
    const row = Float32Array.of(1, 2, 3);
    expect(agreementOf([row], [row])).toMatchObject({ numImages: 1, maxAbsDiff: 0 });
    const off = Float32Array.of(1, 2, 3 + 2 * MAX_ABS_DIFF);
    expect(() => expectAgreement('x', agreementOf([row], [off]))).toThrow(/The model is not published/);
    const broken = Float32Array.of(1, Number.NaN, 3);
    expect(() => expectAgreement('x', agreementOf([row], [broken]))).toThrow('NaN');
    expect(() => expectAgreement('x', agreementOf([row], [Float32Array.of(1)]))).toThrow('NaN');
  });
});

// The weights are 19 MB from a package index: used where they are provisioned already, never fetched by a test.
const provisioned = weightsPath(loadConfig());
describe.skipIf(!existsSync(provisioned))('EfficientNet-Lite0 (skipped where the weights are not provisioned)', () => {
  it('is imported, agrees with tfjs on real pictures, and is found the second time', async () => {
    const config = loadConfig({
      LOOKALIKE_DATA_DIR: folder,
      LOOKALIKE_CACHE_DIR: join(folder, 'cache'),
      LOOKALIKE_BACKEND: 'wasm',
    });
    await mkdir(dirname(weightsPath(config)), { recursive: true });
    await copyFile(provisioned, weightsPath(config));
    const model = await ensureBackbone(stores, config, 'efficientnet-lite0');
    expect(model.manifest.metrics).toEqual({ imagesCheckedAgainstTfjs: 2 });
    expect(modelSummaryOf(model)).toMatchObject({ stage: 'backbone', featureDim: 1280 });
    expect((await ensureBackbone(stores, config, 'efficientnet-lite0')).id).toBe(model.id);
  });
});
