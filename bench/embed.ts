/**
 * How many pictures per second go from JPEG bytes to vector, against Python onnxruntime with Pillow on the same cores and
 * the same `model.onnx`? Rounds alternate, so that a busy machine disturbs both alike; the ratios are what counts. Processor
 * time says where it goes: our stages are also run alone, and `rest` is what threads, messages and running at once add.
 *
 *     node bench/embed.ts --images FOLDER --python PYTHON [--count 200] [--rounds 5] [--seed 1]
 */
import { readFile, readdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { env } from 'onnxruntime-node';
import { loadConfig } from '../infra/config/env.ts';
import { createEmbedder } from '../infra/inference/embedder.ts';
import type { EmbedResult } from '../infra/inference/embedder.ts';
import { Sessions } from '../infra/inference/sessions.ts';
import { ensureBackbone } from '../infra/models/ensure-backbone.ts';
import { ensurePretrained } from '../infra/models/publish-head-model.ts';
import { openStores } from '../infra/stores.ts';
import { inspectImage } from '../lib/images/inspect.ts';
import { preprocessViews } from '../lib/images/preprocess.ts';
import { randomFrom } from '../lib/images/random.ts';
import { startPeer } from './embed-peer.ts';
import type { Round } from './embed-peer.ts';

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

const { preprocessing } = await embedder.modelSummary(model.id);
const fileOf = (name: string): Promise<string> => stores.artifacts.materialise(model.id, name);
const peer = await startPeer(values.python, {
  model: await fileOf('model.onnx'),
  preprocessing,
  images: paths,
  processes: config.embedThreads,
});
const sample = await embedder.embed(model.id, pictures.slice(0, 32), { priority: 'batch' });
const cosines = sample.map((result, i) => cosine(vectorOf(result), peer.vectors[i]!));
const runStages = await openStages();

const runs: { ours: Round; peer: Round }[] = [];
for (let round = 0; round < rounds; round++) {
  const before = process.cpuUsage();
  const started = performance.now();
  (await embedder.embed(model.id, pictures, { priority: 'batch' })).forEach(vectorOf);
  const seconds = (performance.now() - started) / 1000;
  const total = cpuSeconds(before);
  const theirs = await peer.round();
  const { preprocess, infer } = await runStages();
  runs.push({ ours: { seconds, cpu: { preprocess, infer, rest: total - preprocess - infer } }, peer: theirs });
}
peer.end();
await embedder.close();
await stores.close();

const { width, height } = await inspectImage(pictures[0]!);
const result = {
  question: 'images/s from JPEG bytes to vector',
  ratio: round3(median(runs.map((run) => run.peer.seconds / run.ours.seconds))),
  cpuRatio: round3(median(runs.map((run) => cpuOf(run.peer) / cpuOf(run.ours)))),
  ours: summaryOf(runs.map((run) => run.ours)),
  peer: summaryOf(runs.map((run) => run.peer)),
  agreement: { numImages: cosines.length, minCosine: Math.min(...cosines) },
  images: {
    count: paths.length,
    meanBytes: Math.round(pictures.reduce((sum, { length }) => sum + length, 0) / paths.length),
    sizeOfFirst: [width, height],
  },
  model: model.id,
  threads: config.embedThreads,
  rounds,
  seed,
  hardware: { cpu: cpus()[0]?.model, cores: cpus().length },
  versions: { ours: { node: process.version, onnxruntime: env.versions.node }, peer: peer.versions },
};
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);

/** `count` JPEG files, drawn with the seed. */
async function samplePaths(folder: string): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => /\.jpe?g$/i.test(name)).sort();
  const random = randomFrom(seed);
  const drawn = files.map((name) => ({ name, key: random() })).sort((a, b) => a.key - b.key);
  return drawn.slice(0, count).map(({ name }) => join(folder, name));
}

/** Our stages on all pictures one after the other, each alone on the machine as far as we are concerned. */
async function openStages(): Promise<() => Promise<{ preprocess: number; infer: number }>> {
  const sessions = new Sessions('cpu');
  const [backboneFile, headFile] = [await fileOf('backbone.onnx'), await fileOf('head.onnx')];
  const tensor = new Float32Array(3 * preprocessing.size ** 2);
  return async () => {
    const start = process.cpuUsage();
    for (const picture of pictures) await preprocessViews(picture, preprocessing, [null], { allocate: () => tensor });
    const preprocess = cpuSeconds(start);
    const middle = process.cpuUsage();
    for (let i = 0; i < pictures.length; i++) {
      const features = await sessions.run(backboneFile, tensor, [3, preprocessing.size, preprocessing.size]);
      await sessions.run(headFile, features, [features.length]);
    }
    return { preprocess, infer: cpuSeconds(middle) };
  };
}

/** Medians over the rounds. */
function summaryOf(all: Round[]): object {
  const ms = (of: (round: Round) => number): number => round3((1000 * median(all.map(of))) / paths.length);
  return {
    imagesPerSecond: round3(median(all.map(({ seconds }) => paths.length / seconds))),
    cpuMsPerImage: {
      preprocess: ms(({ cpu }) => cpu.preprocess),
      infer: ms(({ cpu }) => cpu.infer),
      rest: ms(({ cpu }) => cpu.rest),
      total: ms(cpuOf),
    },
    rounds: all.map(({ seconds }) => round3(paths.length / seconds)),
  };
}

/** Seconds of processors since then, of all threads of this process. */
function cpuSeconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
}

function cpuOf({ cpu }: Round): number {
  return cpu.preprocess + cpu.infer + cpu.rest;
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
