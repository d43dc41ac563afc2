import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createArtifactStore } from '../../../infra/artifacts/artifact-store.ts';
import { openFolderObjectStore } from '../../../infra/artifacts/folder-object-store.ts';
import type { Artifact, ArtifactStore } from '../../../contracts/artifacts.ts';
import type { Preprocessing } from '../../../contracts/model.ts';
import { ensureBackbone } from '../../../infra/models/ensure-backbone.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import { exportOnnx } from '../../../lib/export/export-onnx.ts';
import type { LayersModel, SymbolicTensor, Tf } from '../../../lib/nn/tf.ts';
import { randomise } from '../../lib/export/tfjs.ts';

export const SMALL: Preprocessing = {
  resizeShorterSide: 36,
  size: 32,
  mean: [127, 127, 127],
  std: [128, 128, 128],
  background: [255, 255, 255],
};
export const SMALL_FEATURES = 12;

/** Two convolutions: a backbone that takes no time. */
export function smallNetwork(tf: Tf): LayersModel {
  const input = tf.input({ shape: [SMALL.size, SMALL.size, 3] });
  const convolve = (x: SymbolicTensor, filters: number): SymbolicTensor =>
    tf.layers
      .conv2d({ name: `conv${filters}`, filters, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' })
      .apply(x) as SymbolicTensor;
  const pooled = tf.layers
    .globalAveragePooling2d({ name: 'pooled' })
    .apply(convolve(convolve(input, 8), SMALL_FEATURES));
  const model = tf.model({ inputs: input, outputs: pooled as SymbolicTensor });
  randomise(tf, model, 11);
  return model;
}

export async function scratchFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'lookalike-models-'));
}

export async function openArtifacts(folder: string): Promise<{ artifacts: ArtifactStore }> {
  return { artifacts: createArtifactStore(await openFolderObjectStore(join(folder, 'artifacts'))) };
}

/** Publishes the small network the way a user brings their own. */
export async function publishSmallBackbone(
  tf: Tf,
  folder: string,
  stores: { artifacts: ArtifactStore },
): Promise<Artifact> {
  const path = join(folder, 'small.onnx');
  await writeFile(path, exportOnnx(smallNetwork(tf), { name: 'small', input: 'pixels', output: 'pooled' }));
  await writeFile(`${path}.json`, JSON.stringify(SMALL));
  return ensureBackbone(stores, loadConfig({ LOOKALIKE_DATA_DIR: folder }), `file:${path}`);
}

/** Six fruits, then six vehicles, by their code points. */
export const FRUITS_AND_VEHICLES = [
  '1f34e',
  '1f34f',
  '1f350',
  '1f351',
  '1f352',
  '1f353',
  '1f697',
  '1f695',
  '1f699',
  '1f68c',
  '1f69a',
  '1f693',
];

/** Real pictures that every checkout has. */
export function emoji(...codes: string[]): Promise<Buffer[]> {
  const { resolve } = createRequire(import.meta.url);
  return Promise.all(codes.map((code) => readFile(resolve(`emoji-datasource-google/img/google/64/${code}.png`))));
}
