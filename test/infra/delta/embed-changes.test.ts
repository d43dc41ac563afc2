import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ItemWrite } from '../../../contracts/changes.ts';
import { LookalikeError } from '../../../contracts/errors.ts';
import { EmbedChanges } from '../../../infra/delta/embed-changes.ts';
import type { EmbedChangesOptions } from '../../../infra/delta/embed-changes.ts';
import { openRegistry } from '../../../infra/registry/registry.ts';
import type { SqlRegistry } from '../../../infra/registry/registry.ts';
import { ownerOf } from '../../../lib/delta/owner-of.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';

let registry: SqlRegistry;
let peers: string[];
let embedded: { name: string; image: string; model: string }[];
/** Pictures that no store finds now. */
let away: Set<string>;

beforeEach(async () => {
  const shape = () => Promise.resolve({ dim: 1, numShards: 1 });
  registry = await openRegistry({ dataDir: temporaryFolder(), databaseUrl: null }, shape);
  peers = [];
  embedded = [];
  away = new Set();
});
afterEach(() => registry.close());

const image = (i: number): string => String(i).padStart(64, '0');
const put = (id: string, i: number, price = 0): ItemWrite => ({
  put: { id, image: image(i), category: null, label: null, title: null, attributes: { price } },
});

async function serve(generation: string, model: string, sinceSeq: number): Promise<void> {
  const draft = { catalogue: 'c', snapshot: generation, workflowId: 'w', workflowRunId: generation };
  const { number } = await registry.generations.create(draft);
  await registry.generations.update('c', number, { model });
  await registry.changes.recordSnapshot('c', generation, sinceSeq);
  const endpoint = { generation: number, shard: 0, replica: 0, url: 'u', host: 'h', artifact: 'shard' };
  await registry.routing.putEndpoint('c', endpoint);
}

/** A picture is its own number; 13 cannot be used. */
function host(name: string, maxChanged?: number): EmbedChanges {
  const embed: EmbedChangesOptions['embedder']['embed'] = async (model, pictures, { priority }) => {
    expect(priority).toBe('changed');
    return pictures.map((bytes) => {
      const text = Buffer.from(bytes).toString();
      embedded.push({ name, image: text, model });
      if (Number(text) === 13) return { rejected: 'Expected a picture, got 13.' };
      return { vectors: [Float32Array.of(Number(text))], timingsMs: { queue: 0, decode: 0, infer: 0 } };
    });
  };
  const get = async (sha256: string): Promise<Buffer> => {
    if (away.has(sha256)) throw new Error('the store is away');
    if (sha256 === image(9)) throw new LookalikeError('notFound', 'Expected the blob, found none.');
    return Buffer.from(sha256);
  };
  const { changes } = registry;
  return new EmbedChanges({ changes, blobs: { get }, embedder: { embed }, name, peers: async () => peers, maxChanged });
}

const vectors = (model: string, numbers: readonly number[]) => registry.changes.vectors('c', model, numbers.map(image));

it('gives every changed picture a vector of each model that serves or is about to, and no other', async () => {
  await registry.catalogue.writeItems('c', [put('old', 1), put('same', 2)]);
  await serve('g1', 'm', 2);
  await serve('g2', 'n', 3);
  await registry.catalogue.writeItems('c', [put('a', 3), put('same', 2, 1), put('b', 4), put('c', 13), put('d', 4)]);
  const alone = host('e1');
  while (await alone.step());
  expect(embedded.map((one) => `${one.model}${Number(one.image)}`).sort()).toEqual(['m13', 'm3', 'm4', 'n13', 'n4']);
  expect(await vectors('m', [3, 4, 13])).toEqual(
    new Map([
      [image(3), Float32Array.of(3)],
      [image(4), Float32Array.of(4)],
      [image(13), null],
    ]),
  );
  await registry.catalogue.writeItems('c', [put('e', 5)]);
  expect(await alone.step()).toBe(true);
  expect(embedded).toHaveLength(7);
});

it('is divided among the hosts that answer, and what one leaves the others do', async () => {
  await serve('g1', 'm', 0);
  const numbers = Array.from({ length: 60 }, (_, i) => i + 20);
  await registry.catalogue.writeItems(
    'c',
    numbers.map((i) => put(`i${i}`, i)),
  );
  peers = ['e1', 'e2'];
  const [first, second] = [host('e1'), host('e2')];
  while (await first.step());
  const share = embedded.length;
  expect(share).toBeGreaterThan(10);
  expect(share).toBeLessThan(50);
  while (await second.step());
  expect(embedded).toHaveLength(60);
  expect(new Set(embedded.map((one) => one.image)).size).toBe(60);

  await registry.catalogue.writeItems(
    'c',
    numbers.map((i) => put(`j${i}`, i + 100)),
  );
  while (await second.step());
  peers = ['e2'];
  const alone = host('e2');
  while (await alone.step());
  expect(
    (
      await vectors(
        'm',
        numbers.map((i) => i + 100),
      )
    ).size,
  ).toBe(60);
});

it('passes nothing over: what a store does not give now holds up no other, what it has lost is known to be unusable', async () => {
  await serve('g1', 'm', 0);
  await registry.catalogue.writeItems('c', [put('a', 3), put('b', 4), put('lost', 9)]);
  away.add(image(3));
  const one = host('e1');
  while (await one.step());
  expect(await vectors('m', [3, 4, 9])).toEqual(
    new Map([
      [image(4), Float32Array.of(4)],
      [image(9), null],
    ]),
  );
  away.clear();
  const restarted = host('e1');
  while (await restarted.step());
  expect((await vectors('m', [3])).size).toBe(1);
});

it('makes again what was forgotten while its generation was away', async () => {
  await serve('g1', 'm', 0);
  await registry.catalogue.writeItems('c', [put('a', 3)]);
  const one = host('e1');
  const looked = async (): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    while (await one.step());
  };
  await looked();
  const endpoint = { generation: 1, shard: 0, replica: 0, url: 'u', host: 'h', artifact: 'shard' };
  await registry.generations.update('c', 1, { status: 'retired' });
  await registry.routing.removeEndpoint('c', endpoint);
  await serve('g2', 'n', 0);
  await looked();
  expect(await registry.changes.prune('c')).toBe(1);
  await registry.routing.putEndpoint('c', endpoint);
  await looked();
  expect((await vectors('m', [3])).size).toBe(1);
});

it('leaves the rest for the next generation where very many pictures changed', async () => {
  await serve('g1', 'm', 0);
  await registry.changes.putVectors('c', 'm', [{ image: image(1), vector: Float32Array.of(1) }]);
  await registry.catalogue.writeItems('c', [put('a', 3)]);
  expect(await host('e1', 1).step()).toBe(false);
  expect(await host('e1', 2).step()).toBe(true);
});

it('an owner is agreed upon, and only the work of one that leaves moves', () => {
  const work = Array.from({ length: 300 }, (_, i) => image(i));
  const all = ['a', 'b', 'c'];
  const owners = new Map(work.map((one) => [one, ownerOf(one, all)]));
  for (const name of all) expect(work.filter((one) => owners.get(one) === name).length).toBeGreaterThan(60);
  for (const one of work) {
    expect(ownerOf(one, ['c', 'b', 'a'])).toBe(owners.get(one));
    if (owners.get(one) !== 'c') expect(ownerOf(one, ['a', 'b'])).toBe(owners.get(one));
  }
  expect(ownerOf('x', [])).toBeUndefined();
});
