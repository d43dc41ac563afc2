import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { AutoSpec } from '../../../contracts/ann.ts';
import { chooseIndexSpec, publishIndex } from '../../../infra/shards/index.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { buildShards, openTestStores, publishData } from '../router/cluster.ts';
import type { Data } from '../router/cluster.ts';

const WISH: AutoSpec = { kind: 'auto', metric: 'cosine', recall: 0.9, maxBytes: 0, seed: 1 };
let stores: ShardStores & { close(): Promise<void> };
let data: Data;

beforeAll(async () => {
  stores = await openTestStores();
  data = await publishData(stores, 'item', 2_400, 5);
});
afterAll(() => stores.close());

const choose = (wish: AutoSpec, numShards = 2) =>
  chooseIndexSpec({ stores, ...data, model: 'model-test', wish, numShards });

it('an index is chosen by measuring, once, and holds what was wished when it is built', async () => {
  const { artifact, spec, reason } = await choose(WISH);
  expect(reason).toContain(spec.kind);
  const measured = JSON.parse(
    await readFile(await stores.artifacts.materialise(artifact.id, 'measured.json'), 'utf8'),
  ) as {
    spec: { kind: string };
  }[];
  expect(new Set(measured.map((one) => one.spec.kind)).size).toBeGreaterThan(2);
  // Times differ from run to run; what was chosen does not.
  expect(await choose(WISH)).toMatchObject({ artifact: { id: artifact.id }, spec });

  const shards = (await buildShards(stores, data, 2, spec)).map(({ id }) => id);
  const input = { stores, ...data, model: 'model-test', spec, shards, choice: artifact.id };
  const built = await publishIndex({ ...input, minIndexRecall: 0.9 });
  expect(built.artifact.manifest.inputs).toMatchObject({ choice: artifact.id });
});

it('memory that nothing fits is refused with what would be needed, and no choice is kept', async () => {
  const wish = { ...WISH, maxBytes: 1_000 };
  await expect(choose(wish)).rejects.toMatchObject({ code: 'invalidInput' });
  const kept = await stores.artifacts.list('indexChoice');
  expect(kept.some(({ manifest }) => JSON.stringify(manifest.config).includes('1000'))).toBe(false);
});

it('few rows are compared one and all', async () => {
  const { spec, reason } = await choose(WISH, 12);
  expect(spec).toEqual({ kind: 'exact', metric: 'cosine' });
  expect(reason).toMatch(/exact: a shard has \d+ rows/);
});
