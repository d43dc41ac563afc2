import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IndexSpec } from '../../../contracts/ann.ts';
import type { Artifact } from '../../../contracts/artifacts.ts';
import type { RoutingTable } from '../../../contracts/serving.ts';
import { createArtifactStore } from '../../../infra/artifacts/artifact-store.ts';
import { openFolderObjectStore } from '../../../infra/artifacts/folder-object-store.ts';
import { startSearchHost } from '../../../infra/data-plane/index.ts';
import type { SearchHost } from '../../../infra/data-plane/index.ts';
import { createRouter } from '../../../infra/router/index.ts';
import type { Router } from '../../../infra/router/index.ts';
import { buildShard } from '../../../infra/shards/index.ts';
import type { ShardStores } from '../../../infra/shards/load-shard.ts';
import { seededVectors } from '../../lib/ann/seeded-vectors.ts';

export const TOKEN = 'a-token-that-only-tests-know';
export const DIM = 16;

/** Stores in a folder of their own. */
export async function openTestStores(): Promise<ShardStores & { close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-test-'));
  const objects = await openFolderObjectStore(folder);
  return {
    artifacts: createArtifactStore(objects),
    async close() {
      objects.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Data {
  snapshot: string;
  embeddings: string;
  vectorOf: Map<string, Float32Array>;
}

/** A snapshot of items `<prefix>0000…` in categories `even` and `odd`, of `price` 0, 1, 2 …, with vectors; every 50th item's picture was rejected. */
export async function publishData(stores: ShardStores, prefix: string, numItems: number, seed: number): Promise<Data> {
  const vectors = seededVectors(numItems, DIM, seed);
  const ids = vectors.map((_, i) => `${prefix}${String(i).padStart(4, '0')}`);
  const image = (i: number): string => `${seed}-${i}`.padStart(64, '0');
  const items = ids.map((id, i) => ({
    ...{ role: 'item', id, image: image(i), category: i % 2 === 0 ? 'even' : 'odd' },
    ...{
      label: null,
      title: null,
      attributes: { price: i, colours: i % 4 === 0 ? ['red', 'blue'] : 'blue', maker: null },
    },
  }));
  const kept = vectors.map((_, i) => i).filter((i) => i % 50 !== 49);
  const sorted = kept.sort((a, b) => (image(a) < image(b) ? -1 : 1));
  const common = { inputs: {}, config: { seed, numItems, prefix }, seed, metrics: {} };
  const text = (lines: string[]): { bytes: Uint8Array } => ({
    bytes: Buffer.from(lines.map((l) => `${l}\n`).join('')),
  });
  const snapshot = await stores.artifacts.publish({
    ...common,
    kind: 'snapshot',
    summary: {},
    files: { 'items.jsonl': text(items.map((item) => JSON.stringify(item))) },
  });
  const bytes = Buffer.concat(sorted.map((i) => Buffer.from(vectors[i]!.buffer)));
  const embeddings = await stores.artifacts.publish({
    ...common,
    kind: 'embeddings',
    summary: { numImages: sorted.length, numRejected: numItems - sorted.length, views: 1, dim: DIM, normalised: true },
    files: { 'images.txt': text(sorted.map(image)), 'vectors.f32': { bytes } },
  });
  return {
    snapshot: snapshot.id,
    embeddings: embeddings.id,
    vectorOf: new Map(kept.map((i) => [ids[i]!, vectors[i]!])),
  };
}

export async function buildShards(
  stores: ShardStores,
  data: Data,
  numShards: number,
  spec: IndexSpec = { kind: 'exact', metric: 'cosine' },
): Promise<Artifact[]> {
  const shards: Artifact[] = [];
  for (let shard = 0; shard < numShards; shard++) {
    shards.push(await buildShard({ stores, ...data, model: 'model-test', spec, shard, numShards }));
  }
  return shards;
}

export const startHost = (stores: ShardStores): Promise<SearchHost> =>
  startSearchHost({ config: { dataPlane: { host: '127.0.0.1', token: TOKEN } }, stores });

/** A registry of one catalogue whose table the test sets. */
export function createTestRouter(first: RoutingTable | undefined): {
  router: Router;
  serve: (table: RoutingTable | undefined) => void;
  fail: (failing: boolean) => void;
} {
  let table = first;
  let failing = false;
  const routing = {
    routingTable: async () => {
      if (failing) throw new Error('the registry is down');
      return structuredClone(table);
    },
  };
  return {
    router: createRouter({ routing, token: TOKEN }),
    serve: (next) => (table = next),
    fail: (now) => (failing = now),
  };
}

export function tableOf(
  generation: number,
  shards: Artifact[],
  hosts: { url: string }[],
  model = 'model-test',
): RoutingTable {
  const endpoints = shards.flatMap((artifact, shard) =>
    hosts.map(({ url }, replica) => ({ generation, shard, replica, url, host: url, artifact: artifact.id })),
  );
  return { catalogue: 'shop', generation, model, dim: DIM, numShards: shards.length, endpoints };
}
