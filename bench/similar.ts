import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { IndexSpec } from '../contracts/ann.ts';
import { createArtifactStore } from '../infra/artifacts/artifact-store.ts';
import { openFolderObjectStore } from '../infra/artifacts/folder-object-store.ts';
import { buildShard, publishIndex } from '../infra/shards/index.ts';
import { assembleSimilar, planSimilar } from '../infra/similar/assemble-similar.ts';
import { findSimilarChunk } from '../infra/similar/find-chunk.ts';
import { createSimilarReader } from '../infra/similar/similar-reader.ts';

/*
 * How fast are the neighbours of all items found, and how does that grow with their number? Chunk after chunk in one thread, as one
 * slot of a build worker does it; then a thousand lists looked up.
 * Usage: node bench/similar.ts [dim=128] [k=24] [n=10000] [n=30000] ...
 */
const [dim = 128, k = 24, ...sizes] = process.argv.slice(2).map(Number);
if (sizes.length === 0) sizes.push(10_000, 30_000, 100_000);
const SEED = 1;
const SPECS: IndexSpec[] = [
  { kind: 'exact', metric: 'cosine' },
  { kind: 'hnsw', metric: 'cosine', m: 16, efConstruction: 100, efSearch: 64, seed: SEED },
];

/** Points around n / 100 centres; mulberry32, Box-Muller. */
function clusteredRows(n: number): Buffer {
  let state = SEED;
  const random = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: Math.ceil(n / 100) }, () => Float32Array.from({ length: dim }, gauss));
  const rows = new Float32Array(n * dim);
  for (let i = 0; i < n; i++) {
    const centre = centres[Math.floor(random() * centres.length)]!;
    for (let j = 0; j < dim; j++) rows[i * dim + j] = centre[j]! + 0.6 * gauss();
  }
  return Buffer.from(rows.buffer);
}

async function measure(n: number, spec: IndexSpec): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-bench-'));
  const objects = await openFolderObjectStore(folder);
  try {
    const stores = { artifacts: createArtifactStore(objects) };
    const image = (i: number): string => String(i).padStart(64, '0');
    const numbers = Array.from({ length: n }, (_, i) => i);
    const item = (i: number): string =>
      JSON.stringify({ role: 'item', id: `item-${i}`, image: image(i), category: `c${i % 50}` });
    const common = { inputs: {}, config: { n, dim }, seed: SEED, metrics: {} };
    const { id: snapshot } = await stores.artifacts.publish({
      ...{ ...common, kind: 'snapshot', summary: {} },
      files: { 'items.jsonl': { bytes: Buffer.from(numbers.map(item).join('\n')) } },
    });
    const { id: embeddings } = await stores.artifacts.publish({
      ...{ ...common, kind: 'embeddings', summary: { numImages: n, numRejected: 0, views: 1, dim, normalised: false } },
      files: {
        'images.txt': { bytes: Buffer.from(numbers.map(image).join('\n')) },
        'vectors.f32': { bytes: clusteredRows(n) },
      },
    });
    const source = { stores, snapshot, embeddings, model: 'model-bench', spec };
    const shard = (await buildShard({ ...source, shard: 0, numShards: 1 })).id;
    const index = (await publishIndex({ ...source, shards: [shard], minIndexRecall: 0 })).artifact.id;
    const config = { k, withinCategory: false, exact: false, chunkItems: 20_000 };
    const { numChunks } = await planSimilar(stores, index, config);
    const begun = performance.now();
    for (let chunk = 0; chunk < numChunks; chunk++) await findSimilarChunk({ stores, index, config, chunk });
    const found = performance.now();
    const made = await assembleSimilar({ stores, index, config });
    const joined = performance.now();
    const reader = createSimilarReader(stores);
    await reader.lookup(made.id, 'item-0');
    const lookups = performance.now();
    for (let i = 0; i < 1000; i++) await reader.lookup(made.id, `item-${Math.floor((i * n) / 1000)}`);
    const lookupUs = performance.now() - lookups;
    await reader.close();
    const [file] = Object.values(made.manifest.files);
    const seconds = (joined - begun) / 1000;
    console.log(
      `${spec.kind.padEnd(6)} n=${n}: ${Math.round(n / seconds)} items/s (find ${((found - begun) / 1000).toFixed(1)} s, ` +
        `join ${((joined - found) / 1000).toFixed(1)} s), ${Math.round(file!.sizeBytes / n)} bytes an item, ` +
        `lookup ${lookupUs.toFixed(0)} us`,
    );
  } finally {
    objects.close();
    await rm(folder, { recursive: true, force: true });
  }
}

console.log(`dim=${dim} k=${k} seed=${SEED}, one thread, ${cpus()[0]!.model}`);
for (const spec of SPECS) for (const n of sizes) await measure(n, spec);
