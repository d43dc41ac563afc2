import { performance } from 'node:perf_hooks';
import { cpus, tmpdir } from 'node:os';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { IndexSpec } from '../contracts/ann.ts';
import type { RoutingTable } from '../contracts/serving.ts';
import { createArtifactStore } from '../infra/artifacts/artifact-store.ts';
import { openFolderObjectStore } from '../infra/artifacts/folder-object-store.ts';
import { startSearchHost } from '../infra/data-plane/index.ts';
import { createRouter } from '../infra/router/index.ts';
import { buildShard, loadShard, publishIndex } from '../infra/shards/index.ts';

/*
 * What does the way over the network cost? The same hnsw index asked in this process and through router and host.
 * Usage: node bench/search.ts [n=100000] [dim=256] [concurrency=8]
 */
const [n = 100_000, dim = 256, concurrency = 8] = process.argv.slice(2).map(Number);
const SEED = 1;
const NUM_QUERIES = 2000;
const TOKEN = 'token-of-the-search-bench';

let state = SEED;
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const centres = Array.from({ length: 1000 }, () => Float32Array.from({ length: dim }, gauss));
const point = (): Float32Array => centres[Math.floor(random() * centres.length)]!.map((value) => value + 0.9 * gauss());

function report(name: string, latencies: number[], seconds: number): void {
  const sorted = latencies.sort((a, b) => a - b);
  const at = (share: number): string => sorted[Math.floor(share * (sorted.length - 1))]!.toFixed(2);
  console.log(`${name}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, ${Math.round(latencies.length / seconds)} queries/s`);
}

async function measure(
  name: string,
  numClients: number,
  ask: (i: number) => unknown,
  count = NUM_QUERIES,
): Promise<void> {
  for (let i = 0; i < 100; i++) await ask(i);
  const latencies: number[] = [];
  const start = performance.now();
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count) {
      const began = performance.now();
      await ask(next++);
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: numClients }, client));
  report(name, latencies, (performance.now() - start) / 1000);
}

const folder = await mkdtemp(join(tmpdir(), 'lookalike-bench-'));
const stores = { artifacts: createArtifactStore(await openFolderObjectStore(folder)) };
const image = (i: number): string => String(i).padStart(64, '0');
const items = Array.from({ length: n }, (_, i) =>
  JSON.stringify({ role: 'item', id: `item-${i}`, image: image(i), category: `c${i % 50}` }),
);
const vectors = Buffer.alloc(n * dim * 4);
for (let i = 0; i < n; i++) vectors.set(new Uint8Array(point().buffer), i * dim * 4);
const common = { inputs: {}, config: { n, dim }, seed: SEED, metrics: {} };
const { id: snapshot } = await stores.artifacts.publish({
  ...{ ...common, kind: 'snapshot', summary: {} },
  files: { 'items.jsonl': { bytes: Buffer.from(items.join('\n')) } },
});
const { id: embeddings } = await stores.artifacts.publish({
  ...{ ...common, kind: 'embeddings', summary: { numImages: n, numRejected: 0, views: 1, dim, normalised: false } },
  files: {
    'images.txt': { bytes: Buffer.from(items.map((_, i) => image(i)).join('\n')) },
    'vectors.f32': { bytes: vectors },
  },
});

const spec: IndexSpec = { kind: 'hnsw', metric: 'cosine', m: 16, efConstruction: 100, efSearch: 64, seed: SEED };
const origin = { stores, snapshot, embeddings, model: 'bench', spec };
let start = performance.now();
const shard = await buildShard({ ...origin, shard: 0, numShards: 1 });
console.log(`n ${n}, dim ${dim}, k 10, seed ${SEED}, ${JSON.stringify(spec)}, ${cpus().length} x ${cpus()[0]?.model}`);
console.log(`build: ${((performance.now() - start) / 1000).toFixed(1)} s, one thread`);
const { recall } = await publishIndex({ ...origin, shards: [shard.id], minIndexRecall: 0 });
console.log(`recall@10 against exact, 200 queries: ${recall}`);

const queries = Array.from({ length: 500 }, point);
const queryOf = (i: number): { vector: Float32Array; k: number } => ({ vector: queries[i % queries.length]!, k: 10 });
const local = await loadShard(stores, shard.id);
await measure('in process, hnsw', 1, (i) => local.search(queryOf(i)));
await measure('in process, exact', 1, (i) => local.search({ ...queryOf(i), exact: true }), 50);
await measure('in process, hnsw, category of 2 %', 1, (i) => local.search({ ...queryOf(i), category: 'c7' }));

start = performance.now();
const host = await startSearchHost({ config: { dataPlane: { host: '127.0.0.1', token: TOKEN } }, stores });
await host.loadShard(shard.id);
console.log(`host start and load: ${(performance.now() - start).toFixed(0)} ms`);
const endpoint = { generation: 1, shard: 0, replica: 0, url: host.url, host: 'bench', artifact: shard.id };
const table: RoutingTable = {
  catalogue: 'bench',
  generation: 1,
  model: 'bench',
  dim,
  numShards: 1,
  endpoints: [endpoint],
};
const router = createRouter({ routing: { routingTable: () => Promise.resolve(table) }, token: TOKEN });
const routed = (i: number): Promise<unknown> => router.search({ catalogue: 'bench', ...queryOf(i) });
await measure('router and host, hnsw, 1 client', 1, routed);
await measure(`router and host, hnsw, ${concurrency} clients`, concurrency, routed);
await router.close();
await host.close();
await rm(folder, { recursive: true });
