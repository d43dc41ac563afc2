import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CalibrationResult } from '../../../contracts/calibration.ts';
import { createCalibrations, probabilityOf } from '../../../infra/calibration/calibrations.ts';
import { publishIndex } from '../../../infra/shards/index.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { seededVectors } from '../../lib/ann/seeded-vectors.ts';
import { buildShards, DIM, openTestStores } from '../router/cluster.ts';
import type { Data } from '../router/cluster.ts';

const NUM_PRODUCTS = 60;
const PICTURES = 5;

let stores: ShardStores & { close(): Promise<void> };
beforeAll(async () => {
  stores = await openTestStores();
});
afterAll(() => stores.close());

/** Pictures of each product around a point of its own; the last of each is an example where there are examples. */
async function publishProducts(labels: 'labels' | 'none', examples: 'holdout' | 'train' | 'none'): Promise<Data> {
  const centres = seededVectors(NUM_PRODUCTS, DIM, 1);
  const noise = seededVectors(NUM_PRODUCTS * PICTURES, DIM, 2);
  const vectors = noise.map((own, i) => own.map((value, j) => 0.4 * value + centres[i % NUM_PRODUCTS]![j]!));
  const image = (i: number): string => String(i).padStart(64, '0');
  const rows = vectors.map((_, i) => {
    const label = `p${i % NUM_PRODUCTS}`;
    return examples !== 'none' && i >= NUM_PRODUCTS * (PICTURES - 1)
      ? { role: 'example', id: `e${i}`, image: image(i), label, split: examples }
      : {
          ...{ role: 'item', id: `i${i}`, image: image(i), label: labels === 'labels' ? label : null },
          ...{ category: null, title: null, attributes: {} },
        };
  });
  const text = (lines: string[]) => ({ bytes: Buffer.from(lines.map((line) => `${line}\n`).join('')) });
  const common = { inputs: {}, config: { labels, examples }, seed: 1, metrics: {} };
  const snapshot = await stores.artifacts.publish({
    ...{ ...common, kind: 'snapshot', summary: {} },
    files: { 'items.jsonl': text(rows.map((row) => JSON.stringify(row))) },
  });
  const embeddings = await stores.artifacts.publish({
    ...{ ...common, kind: 'embeddings' },
    summary: { numImages: vectors.length, numRejected: 0, views: 1, dim: DIM, normalised: false },
    files: {
      'images.txt': text(vectors.map((_, i) => image(i))),
      'vectors.f32': { bytes: Buffer.concat(vectors.map((each) => Buffer.from(each.buffer))) },
    },
  });
  return { snapshot: snapshot.id, embeddings: embeddings.id, vectorOf: new Map() };
}

async function calibrated(...of: Parameters<typeof publishProducts>): Promise<CalibrationResult> {
  const data = await publishProducts(...of);
  const shards = (await buildShards(stores, data, 2)).map(({ id }) => id);
  const spec = { kind: 'exact', metric: 'cosine' } as const;
  const { artifact } = await publishIndex({ stores, ...data, model: 'model-test', spec, shards, minIndexRecall: 1 });
  return createCalibrations(stores.artifacts)(artifact.id);
}

describe('what the scores of an index mean', () => {
  it.each([
    ['holdout', 'holdout', NUM_PRODUCTS],
    ['train', 'items', NUM_PRODUCTS * (PICTURES - 1)],
    ['none', 'items', NUM_PRODUCTS * PICTURES],
  ] as const)('is found out with %s examples, by %s', async (examples, from, numQueries) => {
    const { calibration } = await calibrated('labels', examples);
    expect(calibration).toMatchObject({ from, numQueries, numPairs: numQueries * 50 });
    expect(calibration!.error).toBeLessThan(0.05);
    const probability = (score: number): number => probabilityOf(calibration!.knots, score);
    expect(probability(0.9)).toBeGreaterThan(0.8);
    expect(probability(0.2)).toBeLessThan(0.05);
  });

  it('stays unknown without labels, and says why', async () => {
    const result = await calibrated('none', 'none');
    expect(result).toEqual({ calibration: null, reason: expect.stringContaining('got 0 and 0') as string });
  });

  it('stays unknown for an index that was built before', async () => {
    const manifest = { summary: { spec: { kind: 'exact' } } };
    const reader = createCalibrations({ get: () => Promise.resolve({ id: 'index-1', manifest } as never) });
    expect(await reader('index-1')).toMatchObject({
      calibration: null,
      reason: expect.stringContaining('retrain') as string,
    });
  });
});
