/**
 * How fast is brute force: a batch by products of matrices against faiss Flat on the same vectors and threads, and one query
 * against what memory gives? Rounds alternate, so that a busy machine disturbs all alike; the ratios are what counts.
 *
 *     node bench/exact.ts --python PYTHON [--cases 100000x128,100000x256,50000x1280] [--metric innerProduct] [--queries 1000]
 *                         [--k 10] [--threads 2] [--rounds 7] [--seed 1]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { AnnIndex, Metric, RowStorage } from '../contracts/ann.ts';
import { startBlockProduct } from '../infra/ann/block-product.ts';
import { startKernelThreads } from '../infra/ann/kernel-threads.ts';
import { createBuilder } from '../lib/ann/index.ts';
import { Kernels } from '../lib/ann/kernels/kernels.ts';
import { randomFrom } from '../lib/images/random.ts';
import { PEER_PROGRAM } from './exact-peer.ts';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    cases: { type: 'string', default: '100000x128,100000x256,50000x1280' },
    metric: { type: 'string', default: 'innerProduct' },
    queries: { type: 'string', default: '1000' },
    k: { type: 'string', default: '10' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
    seed: { type: 'string', default: '1' },
  },
});
const [numQueries, k, numThreads, rounds, seed] = [
  values.queries,
  values.k,
  values.threads,
  values.rounds,
  values.seed,
].map(Number) as [number, number, number, number, number];
const metric = values.metric as Metric;
/** Single queries of a round; the fastest counts. */
const SINGLES = 20;
/** Larger than any cache. */
const READ_BYTES = 256 << 20;

const random = randomFrom(seed);
await using threads = startKernelThreads(numThreads);
await using blockProduct = startBlockProduct(numThreads);
const memory = new Kernels();
const read = memory.allocate(READ_BYTES);
memory.u8(read, READ_BYTES).fill(1);

for (const each of values.cases.split(',')) {
  const [n, dim] = each.split('x').map(Number) as [number, number];
  process.stdout.write(`${JSON.stringify(await measure(n, dim), null, 2)}\n`);
}

async function measure(n: number, dim: number): Promise<object> {
  const point = mixture(Math.ceil(n / 100), dim);
  const rows = fill(n, dim, point);
  const queries = fill(numQueries, dim, point);
  const index = await build(rows, dim, 'float32');
  const coarse = { float16: await build(rows, dim, 'float16'), int8: await build(rows, dim, 'int8') };
  await using peer = await startPeer(rows, queries, dim);
  const answers = await index.searchBatch(queries, { k });
  const agreement = peer.found.filter((one, i) => one.every((row, j) => row === answers[i]!.rows[j])).length;

  const taken: Record<string, number[]> = {};
  const note = (name: string, seconds: number): number => (taken[name] ??= []).push(seconds);
  for (let round = 0; round < rounds; round++) {
    const used = process.cpuUsage();
    note('batch', await seconds(() => index.searchBatch(queries, { k })));
    const { user, system } = process.cpuUsage(used);
    note('batchCpu', (user + system) / 1e6);
    const theirs = await peer.measure('batch');
    note('peerBatch', theirs.seconds);
    note('peerBatchCpu', theirs.cpu);
    const one = (i: number): Float32Array => queries.subarray(i * dim, (i + 1) * dim);
    note('read', await fastest(() => memory.run.readBytes(read, READ_BYTES)));
    note('single', await fastest((i) => index.search(one(i), { k })));
    note('peerSingle', (await peer.measure('single')).seconds);
    note('readThreads', await fastest(readOnThreads));
    note('singleThreads', await fastest((i) => index.searchBatch(one(i), { k })));
    note('float16', await fastest((i) => coarse.float16.search(one(i), { k })));
    note('int8', await fastest((i) => coarse.int8.search(one(i), { k })));
  }
  const best = Object.fromEntries(Object.entries(taken).map(([name, times]) => [name, Math.min(...times)]));
  const bytes = n * dim * 4;
  const bandwidth = READ_BYTES / best.read!;
  const bandwidthThreads = READ_BYTES / best.readThreads!;
  return {
    question: 'exact search: batch against faiss Flat, single query against memory bandwidth',
    ...{ n, dim, k, numQueries, metric, seed, threads: numThreads, rounds },
    batchRatio: round3(median(taken.batch!.map((own, i) => taken.peerBatch![i]! / own))),
    batchRatioOfBest: round3(best.peerBatch! / best.batch!),
    // Of the time that cores spent: what other work on the machine disturbs least. The peer's waiting threads spin.
    batchCpuRatio: round3(best.peerBatchCpu! / best.batchCpu!),
    singleShareOfBandwidth: round3(bytes / best.single! / bandwidth),
    singleThreadsShareOfBandwidth: round3(bytes / best.singleThreads! / bandwidthThreads),
    gigabytesPerSecond: { one: round3(bandwidth / 1e9), threads: round3(bandwidthThreads / 1e9) },
    bestMs: Object.fromEntries(Object.entries(best).map(([name, time]) => [name, round3(time * 1000)])),
    batchGflops: round3((2 * n * dim * numQueries) / best.batch! / 1e9),
    agreement: { queries: peer.found.length, equal: agreement },
    recall: { float16: recall(coarse.float16), int8: recall(coarse.int8) },
    hardware: { cpu: cpus()[0]?.model, cores: cpus().length },
    versions: { node: process.version, faiss: peer.version },
  };

  function recall(other: AnnIndex): number {
    const found = answers.slice(0, 100).map((truth, i) => {
      const { rows: got } = other.search(queries.subarray(i * dim, (i + 1) * dim), { k });
      return [...got].filter((row) => truth.rows.includes(row)).length;
    });
    return round3(found.reduce((sum, count) => sum + count, 0) / (found.length * k));
  }
}

/** Points around centres, as embeddings of products lie. */
function mixture(numCentres: number, dim: number): () => Float32Array {
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: numCentres }, () => Float32Array.from({ length: dim }, gauss));
  return () => centres[Math.floor(random() * numCentres)]!.map((value) => value + 0.6 * gauss());
}

function fill(count: number, dim: number, point: () => Float32Array): Float32Array {
  const rows = new Float32Array(count * dim);
  for (let i = 0; i < count; i++) rows.set(point(), i * dim);
  return rows;
}

async function build(rows: Float32Array, dim: number, storage: RowStorage): Promise<AnnIndex> {
  const builder = createBuilder({ kind: 'exact', metric, storage }, dim, { threads, blockProduct });
  for (let at = 0; at < rows.length; at += dim) builder.add(rows.subarray(at, at + dim));
  return builder.build();
}

function readOnThreads(): Promise<unknown> {
  const part = READ_BYTES / numThreads;
  const calls = Array.from({ length: numThreads }, (_, i) => ({ name: 'readBytes', args: [read + i * part, part] }));
  return threads.run(memory.memory, calls);
}

async function seconds(run: () => unknown): Promise<number> {
  const started = performance.now();
  await run();
  return (performance.now() - started) / 1000;
}

async function fastest(run: (i: number) => unknown): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < SINGLES; i++) best = Math.min(best, await seconds(() => run(i)));
  return best;
}

async function startPeer(
  rows: Float32Array,
  queries: Float32Array,
  dim: number,
): Promise<{
  found: number[][];
  version: string;
  measure(what: 'batch' | 'single'): Promise<{ seconds: number; cpu: number }>;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-exact-'));
  const paths = { rows: join(folder, 'rows.f32'), queries: join(folder, 'queries.f32') };
  await writeFile(paths.rows, rows);
  await writeFile(paths.queries, queries);
  const child = spawn(values.python, ['-c', PEER_PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    const line = await lines.next();
    if (line.done === true) throw new Error('The peer ended; install faiss-cpu and numpy for --python.');
    return JSON.parse(line.value);
  };
  child.stdin.write(`${JSON.stringify({ ...paths, dim, k, metric, threads: numThreads, singles: SINGLES })}\n`);
  const { found, version } = (await next()) as { found: number[][]; version: string };
  await rm(folder, { recursive: true });
  return {
    found,
    version,
    async measure(what) {
      child.stdin.write(`${what}\n`);
      return (await next()) as { seconds: number; cpu: number };
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      await new Promise((ended) => child.once('exit', ended));
    },
  };
}

function median(numbers: number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
}

function round3(value: number): number {
  return Math.round(value * 1000) / 1000;
}
