import { afterAll, beforeAll, expect, it } from 'vitest';
import { catalogueVectors } from '../../../infra/bench/catalogue-vectors.ts';
import type { Stores } from '../../../infra/stores.ts';
import { openTestStores } from '../router/cluster.ts';

let stores: Awaited<ReturnType<typeof openTestStores>>;
beforeAll(async () => {
  stores = await openTestStores();
});
afterAll(() => stores.close());

type Registry = { generations: Pick<Stores['registry']['generations'], 'list'> };

/** A registry in which one generation serves `shop`, and none another catalogue. */
const serving = (embeddings: string): Registry => ({
  generations: {
    list: (catalogue, status) =>
      Promise.resolve(
        catalogue === 'shop' && status === 'serving'
          ? [
              {
                ...{ catalogue, number: 1, status, snapshot: 's', model: 'm', embeddings, index: 'i' },
                ...{ metrics: {}, workflowId: 'w', createdAt: '2026-01-01T00:00:00.000Z' },
              },
            ]
          : [],
      ),
  },
});

it('a catalogue’s vectors are the plain views of its pictures, in order', async () => {
  // Three pictures in two views of two numbers; view 1 is never taken.
  const vectors = Float32Array.of(1, 2, -1, -1, 3, 4, -1, -1, 5, 6, -1, -1);
  const { id } = await stores.artifacts.publish({
    ...{ kind: 'embeddings', inputs: {}, config: {}, seed: null, metrics: {} },
    summary: { numImages: 3, numRejected: 0, views: 2, dim: 2, normalised: false },
    files: {
      'vectors.f32': { bytes: new Uint8Array(vectors.buffer) },
      'images.txt': { bytes: Buffer.from(['a', 'b', 'c'].map((name) => `${name.repeat(64)}\n`).join('')) },
      'rejected.jsonl': { bytes: Buffer.from('') },
    },
  });
  const registry = serving(id) as Stores['registry'];
  const found = await catalogueVectors({ artifacts: stores.artifacts, registry }, 'shop');
  expect(found).toEqual({ data: Float32Array.of(1, 2, 3, 4, 5, 6), size: 3, dim: 2 });
  await expect(catalogueVectors({ artifacts: stores.artifacts, registry }, 'other')).rejects.toMatchObject({
    code: 'notFound',
  });
});
