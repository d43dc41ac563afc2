import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Artifact, ArtifactStore, BlobStore } from '../../../contracts/artifacts.ts';
import type { SnapshotRow } from '../../../contracts/catalogue.ts';
import type { Precision } from '../../../contracts/model.ts';
import { createBlobStore } from '../../../infra/artifacts/blob-store.ts';
import { openFolderObjectStore } from '../../../infra/artifacts/folder-object-store.ts';
import { createEmbedder } from '../../../infra/inference/embedder.ts';
import { agreementOf } from '../../../infra/models/agreement.ts';
import { ensurePretrained, publishHeadModel } from '../../../infra/models/publish-head-model.ts';
import { modelSummaryOf } from '../../../infra/models/model-summary.ts';
import { SNAPSHOT_FILE } from '../../../infra/snapshot/read-snapshot.ts';
import { inputRange } from '../../../infra/variants/calibrate.ts';
import { createDeviceModels } from '../../../infra/variants/device-models.ts';
import { ensureHalf, ensureInt8, findInt8 } from '../../../infra/variants/ensure-variant.ts';
import { exportModel } from '../../../infra/variants/export-model.ts';
import { MAX_RECALL_DROP } from '../../../infra/variants/int8-settings.ts';
import { sampleSnapshot } from '../../../infra/variants/sample-snapshot.ts';
import { qualityOf } from '../../../infra/variants/variant-quality.ts';
import { decodeModel } from '../../../lib/export/onnx-proto.ts';
import { affineOf, roundTrip } from '../../../lib/export/quantise/affine.ts';
import { preprocess } from '../../../lib/images/preprocess.ts';
import { plainTf } from '../../lib/export/tfjs.ts';
import { checkByOnnx, hasOnnxChecker } from '../../support/onnx-checker.ts';
import {
  SMALL,
  FRUITS_AND_VEHICLES,
  SMALL_FEATURES,
  emoji,
  openArtifacts,
  publishSmallBackbone,
  scratchFolder,
} from '../models/small-backbone.ts';

const DIM = 6;
const CONFIG = { embedThreads: 1, executionProvider: 'cpu' } as const;
let folder: string;
let artifacts: ArtifactStore;
let blobs: BlobStore;
let pictures: Buffer[];
let backbone: Artifact;
let model: Artifact;
let snapshot: Artifact;
const variants = {} as Record<Precision, Artifact>;

beforeAll(async () => {
  const tf = await plainTf();
  folder = await scratchFolder();
  ({ artifacts } = await openArtifacts(folder));
  blobs = createBlobStore(await openFolderObjectStore(join(folder, 'artifacts')));
  backbone = await publishSmallBackbone(tf, folder, { artifacts });
  pictures = await emoji(...FRUITS_AND_VEHICLES);
  model = await publishHeadModel({
    stores: { artifacts },
    tf,
    backbone,
    kernel: Float32Array.from({ length: SMALL_FEATURES * DIM }, (_, i) => Math.sin(3 * i)),
    bias: new Float32Array(DIM),
    derivation: { inputs: { backbone: backbone.id }, config: {}, seed: 1 },
    metrics: {},
    name: 'small',
    checkImages: pictures.slice(0, 1),
  });
  const images = await Promise.all(pictures.map((picture) => blobs.put(picture)));
  const rows = images.map((image, i): SnapshotRow => {
    const label = i < 6 ? 'fruit' : 'vehicle';
    return {
      role: 'item',
      id: FRUITS_AND_VEHICLES[i]!,
      image,
      category: label,
      label: null,
      title: null,
      attributes: {},
    };
  });
  snapshot = await publishSnapshot(rows);
  variants.fp32 = model;
  variants.fp16 = await ensureHalf(artifacts, model.id);
  variants.int8 = await ensureInt8(artifacts, model.id, int8Request());
});

const int8Request = () => ({ snapshot: snapshot.id, blobs, config: CONFIG, maxRecallDrop: MAX_RECALL_DROP });

async function publishSnapshot(rows: SnapshotRow[]): Promise<Artifact> {
  const path = join(folder, SNAPSHOT_FILE);
  await writeFile(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return artifacts.publish({
    kind: 'snapshot',
    inputs: {},
    config: { rows: rows.length },
    seed: null,
    summary: {},
    metrics: {},
    files: { [SNAPSHOT_FILE]: { path } },
  });
}

const bytesOf = async (artifact: Artifact, file = 'model.onnx'): Promise<Buffer> =>
  readFile(await artifacts.materialise(artifact.id, file));

describe('variants of a model', () => {
  it('are models of their own, made from it, found again', async () => {
    for (const precision of ['fp16', 'int8'] as const) {
      const { manifest } = variants[precision];
      expect(manifest.inputs['model']).toBe(model.id);
      expect(modelSummaryOf(variants[precision])).toMatchObject({
        precision,
        dim: DIM,
        backbone: null,
        preprocessing: SMALL,
      });
      expect(Object.keys(manifest.files).sort()).toEqual(['backbone.onnx', 'head.onnx', 'model.onnx']);
    }
    expect(variants.int8.manifest.inputs['snapshot']).toBe(snapshot.id);
    expect((await ensureHalf(artifacts, model.id)).id).toBe(variants.fp16.id);
    expect((await ensureInt8(artifacts, model.id, int8Request())).id).toBe(variants.int8.id);
    expect((await findInt8(artifacts, model.id, snapshot.id, MAX_RECALL_DROP))?.id).toBe(variants.int8.id);
    expect(await findInt8(artifacts, model.id, snapshot.id, 0.5)).toBeUndefined();
  });

  it('embed pictures as any model does, nearly as their model', async () => {
    const embedder = createEmbedder({ config: CONFIG, stores: { artifacts } });
    try {
      const vectorsOf = async ({ id }: Artifact): Promise<Float32Array[]> =>
        (await embedder.embed(id, pictures, { priority: 'online' })).map((result) => {
          if ('rejected' in result) throw new Error(result.rejected);
          return result.vectors[0]!;
        });
      const exact = await vectorsOf(model);
      const half = agreementOf(exact, await vectorsOf(variants.fp16));
      expect(half.minCosine).toBeGreaterThan(0.99999);
      const int8 = agreementOf(exact, await vectorsOf(variants.int8));
      expect(int8.minCosine).toBeGreaterThan(0.98);
      expect(int8.maxAbsDiff).toBeGreaterThan(half.maxAbsDiff);
    } finally {
      await embedder.close();
    }
  });

  it('tell what int8 costs and whether it may serve', () => {
    const quality = qualityOf(variants.int8)!;
    expect(quality.numQueries).toBeGreaterThan(0);
    expect(quality.numQueries + quality.numCatalogue).toBe(pictures.length);
    expect(quality.recallAt1).not.toBeNull();
    const { model: before, variant } = quality.recallAt1!;
    expect(quality.mayServe).toBe(variant >= before - MAX_RECALL_DROP);
    expect(variants.int8.manifest.metrics).toMatchObject({
      quantisedLayers: 2,
      calibratedOn: expect.any(Number) as number,
    });
  });

  it('run their convolutions on integers in ONNX Runtime', async () => {
    const optimised = join(folder, 'optimised.onnx');
    const session = await InferenceSession.create(await bytesOf(variants.int8), {
      optimizedModelFilePath: optimised,
      graphOptimizationLevel: 'extended',
      logSeverityLevel: 3,
    });
    await session.release();
    const ops = decodeModel(await readFile(optimised)).graph.node.map(({ op_type: op }) => op);
    expect(ops.filter((op) => op === 'QLinearConv')).toHaveLength(2);
    expect(ops).not.toContain('Conv');
  });

  it('compute on integers what they say, whatever the processor does with sums of products', async () => {
    const bytes = await bytesOf(variants.int8);
    const { size } = SMALL;
    const embed = async (picture: Buffer, graphOptimizationLevel: 'all' | 'disabled'): Promise<Float32Array> => {
      const session = await InferenceSession.create(bytes, { graphOptimizationLevel, logSeverityLevel: 3 });
      const image = new Tensor('float32', await preprocess(picture, SMALL), [1, 3, size, size]);
      const { embedding } = await session.run({ image });
      await session.release();
      return embedding!.data as Float32Array;
    };
    // Unoptimised, each node of the graph is computed in f32 as it stands.
    const each = (level: 'all' | 'disabled') => Promise.all(pictures.map((picture) => embed(picture, level)));
    expect(agreementOf(await each('disabled'), await each('all')).minCosine).toBeGreaterThan(0.9999);
  });

  it('are of halves or bytes', async () => {
    const [fp32, fp16, int8] = await Promise.all(
      (['fp32', 'fp16', 'int8'] as const).map(async (precision) => bytesIn(await bytesOf(variants[precision]))),
    );
    expect(fp16!.largest).toBe(fp32!.largest / 2);
    expect(int8!.largest).toBe(fp32!.largest / 4);
  });

  it.skipIf(!hasOnnxChecker)('pass the checker of the ONNX project, all three', async () => {
    for (const artifact of Object.values(variants)) {
      for (const file of ['backbone.onnx', 'head.onnx', 'model.onnx']) checkByOnnx(await bytesOf(artifact, file));
    }
  });

  it('are not made of variants, nor of backbones', async () => {
    await expect(ensureHalf(artifacts, variants.int8.id)).rejects.toThrow('an int8 variant of one');
    await expect(ensureHalf(artifacts, backbone.id)).rejects.toThrow('a backbone');
  });

  it('allow nothing where no label tells what is right', async () => {
    const image = await blobs.put(pictures[0]!);
    const bare = await publishSnapshot([
      { role: 'item', id: 'a', image, category: null, label: null, title: null, attributes: {} },
    ]);
    const untrained = await ensurePretrained({ artifacts }, backbone.id);
    const variant = await ensureInt8(artifacts, untrained.id, { ...int8Request(), snapshot: bare.id });
    expect(qualityOf(variant)).toMatchObject({ recallAt1: null, mayServe: false, mayQuery: false });
  });

  it('stop when asked to', async () => {
    const request = { ...int8Request(), maxRecallDrop: 0.123 };
    await expect(ensureInt8(artifacts, model.id, request, AbortSignal.abort())).rejects.toThrow('asked to stop');
  });
});

/** The largest constant of a graph, in bytes. */
function bytesIn(bytes: Uint8Array): { largest: number } {
  const sizes = decodeModel(bytes).graph.initializer.map(({ raw_data: raw }) => raw?.length ?? 0);
  return { largest: Math.max(...sizes) };
}

describe('exportModel', () => {
  it('writes the file and how to feed it, and writes the same again', async () => {
    const out = join(folder, 'out');
    const registry = { generations: { list: async () => [{ model: model.id, snapshot: snapshot.id }] } };
    const request = {
      stores: { artifacts, blobs, registry } as unknown as Parameters<typeof exportModel>[0]['stores'],
      ...{ config: CONFIG, model: model.id, catalogue: 'shop', maxRecallDrop: MAX_RECALL_DROP, out },
    };
    for (const precision of ['fp32', 'fp16', 'int8'] as const) {
      const { onnxPath, jsonPath, description } = await exportModel({ ...request, precision });
      expect(await readFile(onnxPath)).toEqual(await bytesOf(variants[precision]));
      expect(JSON.parse(await readFile(jsonPath, 'utf8'))).toEqual(description);
      expect(description).toMatchObject({
        artifact: variants[precision].id,
        model: model.id,
        input: { name: 'image', shape: ['N', 3, 32, 32], preprocessing: SMALL },
        output: { name: 'embedding', shape: ['N', DIM], normalised: true },
      });
      expect(existsSync(`${onnxPath}.part`)).toBe(false);
    }
  });
});

describe('models for devices', () => {
  it('come in every precision there is, fp16 made when asked for', async () => {
    const models = createDeviceModels(artifacts);
    const found = await models.of(model.id, snapshot.id);
    expect(found).toMatchObject({ model: model.id, dim: DIM, preprocessing: SMALL });
    expect(found.files.map(({ precision, artifact }) => [precision, artifact])).toEqual(
      (['fp32', 'fp16', 'int8'] as const).map((precision) => [precision, variants[precision].id]),
    );
    const { path, file } = await models.open(model.id, snapshot.id, 'fp16');
    expect((await readFile(path)).length).toBe(file.sizeBytes);
    await expect(models.open(model.id, 'snapshot-of-another', 'int8')).rejects.toThrow('--precision int8');
  });
});

describe('sampleSnapshot', () => {
  it('calibrates on nothing that judges, and keeps answers for the queries it draws', () => {
    const rows = Array.from({ length: 200 }, (_, i): SnapshotRow => ({
      role: 'item',
      ...{ id: `i${i}`, image: `${(i * 7919) % 1000}`.padStart(64, '0'), category: `c${i % 20}` },
      ...{ label: null, title: null, attributes: {} },
    }));
    const sample = sampleSnapshot(rows, { calibration: 30, queries: 5, catalogue: 20 });
    const judging = new Set(
      sampleSnapshot(rows, { calibration: 0, queries: 999, catalogue: 0 }).queries.map((q) => q.image),
    );
    expect(sample.calibration).toHaveLength(30);
    expect(sample.calibration.filter((image) => judging.has(image))).toEqual([]);
    expect(sample.queries).toHaveLength(5);
    const labels = new Set(sample.queries.map(({ label }) => label));
    expect(sample.catalogue.filter(({ label }) => labels.has(label)).length).toBeGreaterThan(10);
    expect(sampleSnapshot(rows.toReversed(), { calibration: 30, queries: 5, catalogue: 20 })).toEqual(sample);
  });
});

describe('the range of the input', () => {
  it('holds each byte exactly, as the preprocessing of EfficientNet-Lite0 makes it', () => {
    const range = inputRange({ mean: [127, 127, 127], std: [128, 128, 128] });
    const affine = affineOf(range);
    for (let byte = 0; byte < 256; byte++) expect(roundTrip((byte - 127) / 128, affine)).toBe((byte - 127) / 128);
  });
});
