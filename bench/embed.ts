/**
 * How many pictures per second go from JPEG bytes to vector, against Python onnxruntime with Pillow on the same cores and
 * the same `model.onnx`? Rounds alternate, so that a busy machine disturbs both alike; the ratio is what counts.
 *
 *     node bench/embed.ts --images FOLDER --python PYTHON [--count 200] [--rounds 5] [--seed 1]
 */
import { spawn } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { loadConfig } from '../infra/config/env.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import type { EmbedResult } from '../infra/inference/embedder.ts';
import { ensureBackbone } from '../infra/models/ensure-backbone.ts';
import { ensurePretrained } from '../infra/models/publish-head-model.ts';
import { openStores } from '../infra/stores.ts';
import { randomFrom } from '../lib/images/random.ts';
import { PEER_PROGRAM } from './embed-peer.ts';

const { values } = parseArgs({
  options: {
    images: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    count: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
  },
});
if (values.images === undefined) throw new Error('Expected --images, a folder of JPEG files (searched in depth).');
const [count, rounds, seed] = [values.count, values.rounds, values.seed].map(Number) as [number, number, number];

const config = loadConfig();
const stores = await openStores(config);
const backbone = await ensureBackbone(stores, config, 'efficientnet-lite0');
const model = await ensurePretrained(stores, backbone.id);
const embedder = createEmbedder({ config, stores });
const paths = await samplePaths(values.images);
const pictures = await Promise.all(paths.map((path) => readFile(path)));

const peer = await startPeer();
const sample = await embedder.embed(model.id, pictures.slice(0, 32), { priority: 'batch' });
const cosines = sample.map((result, i) => cosine(vectorOf(result), peer.vectors[i]!));

const speeds: { ours: number; peer: number }[] = [];
for (let round = 0; round < rounds; round++) {
  const started = performance.now();
  (await embedder.embed(model.id, pictures, { priority: 'batch' })).forEach(vectorOf);
  const ours = (performance.now() - started) / 1000;
  speeds.push({ ours: paths.length / ours, peer: paths.length / (await peer.round()) });
}
peer.end();
await embedder.close();
await stores.close();

const result = {
  question: 'images/s from JPEG bytes to vector',
  ratio: round3(median(speeds.map((speed) => speed.ours / speed.peer))),
  ours: {
    median: round3(median(speeds.map((speed) => speed.ours))),
    rounds: speeds.map((speed) => round3(speed.ours)),
  },
  peer: {
    median: round3(median(speeds.map((speed) => speed.peer))),
    rounds: speeds.map((speed) => round3(speed.peer)),
  },
  agreement: { numImages: cosines.length, minCosine: round3(Math.min(...cosines)) },
  images: {
    count: paths.length,
    meanBytes: Math.round(pictures.reduce((sum, { length }) => sum + length, 0) / paths.length),
  },
  model: model.id,
  threads: config.embedThreads,
  seed,
  hardware: { cpu: cpus()[0]?.model, cores: cpus().length },
  versions: { node: process.version, ...peer.versions },
};
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);

/** `count` JPEG files, drawn with the seed. */
async function samplePaths(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => /\.jpe?g$/i.test(name)).sort();
  const random = randomFrom(seed);
  const drawn = files.map((name) => ({ name, key: random() })).sort((a, b) => a.key - b.key);
  return drawn.slice(0, count).map(({ name }) => join(folder, name));
}

async function startPeer(): Promise<{
  vectors: number[][];
  versions: Record<string, string>;
  round(): Promise<number>;
  end(): void;
}> {
  const child = spawn(values.python, ['-c', PEER_PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('The peer ended; install onnxruntime, pillow and numpy for --python.');
    return JSON.parse(line.value);
  };
  const { preprocessing } = await embedder.modelSummary(model.id);
  const job = { model: await stores.artifacts.materialise(model.id, 'model.onnx'), preprocessing, images: paths };
  child.stdin.write(`${JSON.stringify({ ...job, processes: config.embedThreads })}\n`);
  const { ready, vectors } = (await next()) as { ready: Record<string, string>; vectors: number[][] };
  return {
    vectors,
    versions: ready,
    async round() {
      child.stdin.write('go\n');
      return ((await next()) as { seconds: number }).seconds;
    },
    end: () => child.stdin.end(),
  };
}

function vectorOf(embedded: EmbedResult): Float32Array {
  if ('rejected' in embedded) throw new Error(`Expected usable pictures: ${embedded.rejected}`);
  return embedded.vectors[0]!;
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  // Both have length one.
  return Array.from(a).reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
