/**
 * How does the inverted file compare with faiss on the same vectors, lists and threads? Each side takes the least nprobe with
 * which it finds `--recall` of the true 10 nearest (or what the weaker side can find at all), then rounds alternate; the best round of each counts.
 *
 *     node bench/ivf.ts --python PYTHON [--n 100000] [--dim 128] [--metric l2] [--threads 2] [--rounds 5] [--recall 0.95]
 *
 * Data: a Gaussian mixture, one cluster for 100 rows, as are the queries.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { AnnIndex, IvfCodes, IvfSpec, Metric } from '../contracts/ann.ts';
import { startKernelThreads } from '../infra/ann/kernel-threads.ts';
import { createBuilder } from '../lib/ann/index.ts';
import { numListsFor } from '../lib/ann/ivf/auto.ts';
import { randomFrom } from '../lib/images/random.ts';
import { PEER_PROGRAM } from './ivf-peer.ts';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    n: { type: 'string', default: '100000' },
    dim: { type: 'string', default: '128' },
    metric: { type: 'string', default: 'l2' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '5' },
    queries: { type: 'string', default: '10000' },
    noise: { type: 'string', default: '1' },
    recall: { type: 'string', default: '0.95' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});
const [n, dim, numThreads, rounds, numQueries, noise, bar, seed] = (
  ['n', 'dim', 'threads', 'rounds', 'queries', 'noise', 'recall', 'seed'] as const
).map((name) => Number(values[name])) as [number, number, number, number, number, number, number, number];
const metric = values.metric as Metric;
const NUM_TRUTH = 1000;
const NPROBES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256, 384, 512];

interface Contest {
  name: string;
  codes: IvfCodes;
  rescore: number;
  /** What faiss calls the same. */
  factory: string;
}
const lists = numListsFor(0, n);
/** Bytes of a product-quantised row: an eighth of its dimensions. */
const m = Math.max(1, dim >> 3);
const pq = (bits: 4 | 8): IvfCodes => ({ kind: 'pq', m: (m * 8) / bits, bits, opq: false });
const CONTESTS: Contest[] = [
  { name: 'flat', codes: { kind: 'flat' }, rescore: 0, factory: `IVF${lists},Flat` },
  { name: 'pq8', codes: pq(8), rescore: 0, factory: `IVF${lists},PQ${m}` },
  { name: 'pq8, rescored', codes: pq(8), rescore: 10, factory: `IVF${lists},PQ${m},RFlat` },
  { name: 'pq4, rescored', codes: pq(4), rescore: 10, factory: `IVF${lists},PQ${m},RFlat` },
  { name: 'pq4, rescored, against fast scan', codes: pq(4), rescore: 10, factory: `IVF${lists},PQ${2 * m}x4fs,RFlat` },
  { name: 'sq8', codes: { kind: 'sq8' }, rescore: 0, factory: `IVF${lists},SQ8` },
];

const folder = await mkdtemp(join(tmpdir(), 'lookalike-ivf-'));
const threads = startKernelThreads(numThreads);
const { rows, queries } = mixture();
const peer = await startPeer();
const truth = new Int32Array((await readFile(join(folder, 'truth.i32'))).buffer.slice(0));
for (const contest of CONTESTS.filter(({ name }) => values.only === '' || name === values.only)) {
  process.stdout.write(`${JSON.stringify(await compare(contest))}\n`);
}
peer.end();
await threads[Symbol.asyncDispose]();
await rm(folder, { recursive: true });
process.stdout.write(
  `${JSON.stringify({ n, dim, metric, lists, numThreads, noise, seed, cpu: cpus()[0]?.model, ...peer.versions })}\n`,
);

async function compare({ name, codes, rescore, factory }: Contest): Promise<object> {
  const spec: IvfSpec = { kind: 'ivf', metric, numLists: lists, nprobe: 0, codes, rescore, seed };
  const builds = { ours: Infinity, peer: Infinity };
  let index!: AnnIndex;
  for (let round = 0; round < 1; round++) {
    const builder = createBuilder(spec, dim, { threads });
    for (let i = 0; i < n; i++) builder.add(rows.subarray(i * dim, (i + 1) * dim));
    const started = performance.now();
    index = await builder.build();
    builds.ours = Math.min(builds.ours, (performance.now() - started) / 1000);
    builds.peer = Math.min(builds.peer, (await peer.ask({ do: 'build', name, factory })).seconds);
  }
  const askOurs = async (nprobe: number, count: number): Promise<{ seconds: number; recall: number }> => {
    const started = performance.now();
    const found = await index.searchBatch(queries.subarray(0, count * dim), { k: 10, nprobe });
    const seconds = (performance.now() - started) / 1000;
    return { seconds, recall: recallOf(found.map((one) => one.rows)) };
  };
  const askPeer = (nprobe: number, count: number): Promise<{ seconds: number; recall: number }> =>
    peer.ask({ do: 'search', name, nprobe, count, rescore });
  const [ourSweep, peerSweep] = [await sweep(askOurs), await sweep(askPeer)];
  // Codes alone may never find so much: then what the weaker of both finds, but for the last hundredth.
  const most = Math.min(...[ourSweep, peerSweep].map((points) => Math.max(...points.map((point) => point.recall))));
  const asked = Math.min(bar, 0.99 * most);
  const ours = ourSweep.find(({ recall }) => recall >= asked)!;
  const theirs = peerSweep.find(({ recall }) => recall >= asked)!;
  const best = { ours: 0, peer: 0 };
  for (let round = 0; round < rounds; round++) {
    best.ours = Math.max(best.ours, numQueries / (await askOurs(ours.nprobe, numQueries)).seconds);
    best.peer = Math.max(best.peer, numQueries / (await askPeer(theirs.nprobe, numQueries)).seconds);
  }
  const started = performance.now();
  for (let i = 0; i < 1000; i++) index.search(queries.subarray(i * dim, (i + 1) * dim), { k: 10, nprobe: ours.nprobe });
  const single = (performance.now() - started) / 1000;
  return {
    name,
    factory,
    askedRecall: round3(asked),
    ours: { ...ours, perSecond: Math.round(best.ours), singleMs: single, memoryMiB: index.memoryBytes / 2 ** 20 },
    peer: { ...theirs, perSecond: Math.round(best.peer) },
    ratio: round3(best.ours / best.peer),
    build: { ours: round3(builds.ours), peer: round3(builds.peer), ratio: round3(builds.peer / builds.ours) },
  };
}

/** Recall by nprobe, until more lists find nothing more. */
async function sweep(
  ask: (nprobe: number, count: number) => Promise<{ recall: number }>,
): Promise<{ nprobe: number; recall: number }[]> {
  const points: { nprobe: number; recall: number }[] = [];
  for (const nprobe of NPROBES.filter((each) => each <= lists)) {
    const { recall } = await ask(nprobe, NUM_TRUTH);
    points.push({ nprobe, recall });
    if (recall >= 0.995 || (points.length > 6 && recall - points.at(-4)!.recall < 0.001)) break;
  }
  return points;
}

function recallOf(found: Int32Array[]): number {
  const asked = Math.min(found.length, NUM_TRUTH);
  let hits = 0;
  for (let i = 0; i < asked; i++) {
    const true10 = truth.subarray(i * 10, i * 10 + 10);
    hits += found[i]!.reduce((sum, row) => sum + (true10.includes(row) ? 1 : 0), 0);
  }
  return hits / (10 * asked);
}

function mixture(): { rows: Float32Array; queries: Float32Array } {
  const random = randomFrom(seed);
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const numClusters = Math.max(1, Math.round(n / 100));
  const centres = Float32Array.from({ length: numClusters * dim }, gauss);
  const draw = (count: number): Float32Array => {
    const points = new Float32Array(count * dim);
    for (let i = 0; i < count; i++) {
      const centre = Math.floor(random() * numClusters) * dim;
      let square = 0;
      for (let d = 0; d < dim; d++) square += (points[i * dim + d] = centres[centre + d]! + noise * gauss()) ** 2;
      if (metric === 'cosine') for (let d = 0; d < dim; d++) points[i * dim + d]! /= Math.sqrt(square);
    }
    return points;
  };
  return { rows: draw(n), queries: draw(numQueries) };
}

interface Peer {
  versions: Record<string, string>;
  ask(what: object): Promise<{ seconds: number; recall: number }>;
  end(): void;
}

async function startPeer(): Promise<Peer> {
  const paths = { rows: 'rows.f32', queries: 'queries.f32', truth: 'truth.i32' };
  await writeFile(join(folder, paths.rows), new Uint8Array(rows.buffer));
  await writeFile(join(folder, paths.queries), new Uint8Array(queries.buffer));
  const child = spawn(values.python, ['-c', PEER_PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('The peer ended; install faiss-cpu and numpy for --python.');
    return JSON.parse(line.value);
  };
  const files = Object.fromEntries(Object.entries(paths).map(([name, file]) => [name, join(folder, file)]));
  child.stdin.write(`${JSON.stringify({ ...files, dim, metric, threads: numThreads, numTruth: NUM_TRUTH })}\n`);
  const versions = (await next()) as Record<string, string>;
  return {
    versions,
    async ask(what) {
      child.stdin.write(`${JSON.stringify(what)}\n`);
      return (await next()) as { seconds: number; recall: number };
    },
    end: () => child.stdin.end(),
  };
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
