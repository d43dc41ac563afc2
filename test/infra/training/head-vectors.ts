import { readFile } from 'node:fs/promises';
import { runOnce } from '../../../infra/models/run-once.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { SMALL_FEATURES } from '../models/small-backbone.ts';
import type { Workshop } from './workshop.ts';

const NUM_VECTORS = 20;

/** What the head of a model makes of the same features whoever trained it, one vector after another. */
export async function headVectors({ stores }: Workshop, model: string): Promise<number[]> {
  const head = await readFile(await stores.artifacts.materialise(model, 'head.onnx'));
  const vectors: number[] = [];
  for (let i = 0; i < NUM_VECTORS; i++) {
    const features = normals(SMALL_FEATURES, randomOf('features', i));
    vectors.push(...(await runOnce(head, features, [1, SMALL_FEATURES])));
  }
  return vectors;
}
