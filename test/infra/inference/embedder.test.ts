import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Artifact, ArtifactStore } from '../../../contracts/artifacts.ts';
import type { CropBox } from '../../../contracts/crop.ts';
import { createEmbedder } from '../../../infra/inference/embedder.ts';
import type { EmbedResult, Embedder } from '../../../infra/inference/embedder.ts';
import { ensurePretrained, publishHeadModel } from '../../../infra/models/publish-head-model.ts';
import { runOnce } from '../../../infra/models/run-once.ts';
import { preprocess } from '../../../lib/images/preprocess.ts';
import { maxAbsDiff, plainTf } from '../../lib/export/tfjs.ts';
import {
  SMALL,
  SMALL_FEATURES,
  emoji,
  openArtifacts,
  publishSmallBackbone,
  scratchFolder,
} from '../models/small-backbone.ts';
import { copyFile, readFile, rm } from 'node:fs/promises';
import sharp from 'sharp';
import { join } from 'node:path';

const DIM = 6;
let stores: { artifacts: ArtifactStore };
let backbone: Artifact;
let model: Artifact;
let embedder: Embedder;
let pictures: Buffer[];

beforeAll(async () => {
  const tf = await plainTf();
  const folder = await scratchFolder();
  stores = await openArtifacts(folder);
  backbone = await publishSmallBackbone(tf, folder, stores);
  pictures = await emoji('1f34e', '1f600', '1f697', '1f436', '2764-fe0f', '1f355');
  model = await publishHeadModel({
    stores,
    tf,
    backbone,
    kernel: Float32Array.from({ length: SMALL_FEATURES * DIM }, (_, i) => Math.sin(3 * i)),
    bias: new Float32Array(DIM),
    derivation: { inputs: { backbone: backbone.id }, config: {}, seed: 1 },
    metrics: {},
    name: 'small',
    checkImages: pictures.slice(0, 1),
  });
  embedder = createEmbedder({ config: { embedThreads: 2, executionProvider: 'cpu' }, stores });
});
afterAll(() => embedder.close());

function vectorsOf(result: EmbedResult): Float32Array[] {
  if ('rejected' in result) throw new Error(result.rejected);
  return result.vectors;
}

describe('the embedder', () => {
  it('asks the store again for files that its cache has dropped since', async () => {
    const folder = await scratchFolder();
    const handed: string[] = [];
    const artifacts: Pick<ArtifactStore, 'get' | 'materialise'> = {
      get: (id) => stores.artifacts.get(id),
      async materialise(id, file) {
        const copy = join(folder, `${handed.length}-${file}`);
        await copyFile(await stores.artifacts.materialise(id, file), copy);
        handed.push(copy);
        return copy;
      },
    };
    const other = createEmbedder({ config: { embedThreads: 2, executionProvider: 'cpu' }, stores: { artifacts } });
    try {
      const [one] = await other.embed(model.id, pictures.slice(0, 1), { priority: 'online' });
      for (const path of handed.splice(0)) await rm(path);
      // More pictures than threads: the second thread opens the model only now.
      const all = await other.embed(model.id, pictures, { priority: 'online' });
      expect(vectorsOf(all[0]!)).toEqual(vectorsOf(one!));
      expect(handed).toHaveLength(2);
    } finally {
      await other.close();
    }
  });

  it('gives what the deployable model.onnx gives, of length one', async () => {
    const [result] = await embedder.embed(model.id, pictures.slice(0, 1), { priority: 'online' });
    const vector = vectorsOf(result!)[0]!;
    const whole = await readFile(await stores.artifacts.materialise(model.id, 'model.onnx'));
    const image = await preprocess(pictures[0]!, SMALL);
    expect(maxAbsDiff(vector, await runOnce(whole, image, [1, 3, SMALL.size, SMALL.size]))).toBeLessThan(1e-6);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  });

  it('gives a picture the same bytes alone, in a batch, in any order and by either priority', async () => {
    const batch = await embedder.embed(model.id, pictures, { priority: 'batch' });
    const reversed = await embedder.embed(model.id, pictures.toReversed(), { priority: 'online' });
    expect(reversed.toReversed().map(vectorsOf)).toEqual(batch.map(vectorsOf));
    for (const [i, picture] of pictures.entries()) {
      const [alone] = await embedder.embed(model.id, [picture], { priority: 'online' });
      expect(vectorsOf(alone!)).toEqual(vectorsOf(batch[i]!));
    }
    const distinct = new Set(batch.map((result) => vectorsOf(result)[0]!.join()));
    expect(distinct.size).toBe(pictures.length);
  });

  it('gives the same bytes from cached backbone features', async () => {
    const direct = await embedder.embed(model.id, pictures, { priority: 'batch' });
    const features = await embedder.embed(backbone.id, pictures, { priority: 'batch' });
    const rows = Float32Array.from(features.flatMap((result) => [...vectorsOf(result)[0]!]));
    // More rows than fit one request.
    const many = new Float32Array(30 * rows.length);
    for (let i = 0; i < 30; i++) many.set(rows, i * rows.length);
    const embedded = await embedder.applyHead(model.id, many, 30 * pictures.length);
    const expected = Float32Array.from(direct.flatMap((result) => [...vectorsOf(result)[0]!]));
    for (let i = 0; i < 30; i++) {
      expect(embedded.slice(i * expected.length, (i + 1) * expected.length)).toEqual(expected);
    }
  });

  it('gives one vector per view: the plain one first, the others the same in every run', async () => {
    const [plain] = await embedder.embed(model.id, pictures.slice(0, 1), { priority: 'batch' });
    const [views] = await embedder.embed(model.id, pictures.slice(0, 1), { priority: 'batch', views: 3 });
    const [again] = await embedder.embed(model.id, pictures.slice(0, 1), { priority: 'batch', views: 3 });
    expect(vectorsOf(views!)).toHaveLength(3);
    expect(vectorsOf(views!)[0]).toEqual(vectorsOf(plain!)[0]);
    expect(new Set(vectorsOf(views!).map((vector) => vector.join())).size).toBe(3);
    expect(vectorsOf(again!)).toEqual(vectorsOf(views!));
  });

  it('embeds a part of a picture as it embeds a picture of that part, and refuses a box that leaves it', async () => {
    const { width, height } = await sharp(pictures[0]).metadata();
    const box = { left: 3, top: 5, width: width - 9, height: height - 12 };
    const part = await sharp(pictures[0]).extract(box).png().toBuffer();
    const ask = (image: Buffer, crop?: CropBox) => embedder.embed(model.id, [image], { priority: 'online', crop });
    const [[expected], [found]] = await Promise.all([ask(part), ask(pictures[0]!, { ...box, unit: 'pixel' })]);
    expect(vectorsOf(found!)).toEqual(vectorsOf(expected!));
    expect(found).toMatchObject({ crop: box, timingsMs: { preprocess: expect.any(Number) as number } });
    const outside = ask(pictures[0]!, { ...box, width, unit: 'pixel' });
    await expect(outside).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringContaining(`${width} x ${height}`) as string,
    });
  });

  it('rejects a bad picture with the reason and embeds its neighbours', async () => {
    const results = await embedder.embed(model.id, [pictures[0]!, Buffer.from('no picture'), pictures[1]!], {
      priority: 'batch',
    });
    expect(results[1]).toMatchObject({ rejected: expect.stringContaining('no picture') as string });
    expect([results[0], results[2]].map((result) => vectorsOf(result!)[0]!.length)).toEqual([DIM, DIM]);
  });

  it('knows the untrained model: the features, normalised', async () => {
    const { id } = await ensurePretrained(stores, backbone.id);
    const [features] = await embedder.embed(backbone.id, pictures.slice(0, 1), { priority: 'batch' });
    const [embedding] = await embedder.embed(id, pictures.slice(0, 1), { priority: 'batch' });
    const raw = vectorsOf(features!)[0]!;
    const length = Math.hypot(...raw);
    expect(
      maxAbsDiff(
        raw.map((value) => value / length),
        vectorsOf(embedding!)[0]!,
      ),
    ).toBeLessThan(1e-6);
    expect(await embedder.modelSummary(id)).toMatchObject({ stage: 'embedding', dim: SMALL_FEATURES });
  });

  it('says what is wrong with a call', async () => {
    const aborted = AbortSignal.abort();
    await expect(embedder.embed(model.id, pictures, { priority: 'batch', signal: aborted })).rejects.toMatchObject({
      code: 'cancelled',
    });
    await expect(embedder.embed(`model-${'0'.repeat(32)}`, pictures, { priority: 'batch' })).rejects.toMatchObject({
      code: 'notFound',
    });
    await expect(embedder.applyHead(model.id, new Float32Array(5), 1)).rejects.toMatchObject({
      code: 'dimensionMismatch',
    });
    await expect(
      embedder.applyHead(model.id, new Float32Array(SMALL_FEATURES).fill(Number.NaN), 1),
    ).rejects.toMatchObject({ code: 'nonFinite' });
  });
});
