/**
 * How fast is an index of kind hnsw against Python hnswlib: queries/s at equal recall@10, and build time, with the same
 * parameters on the same vectors and threads? For each recall the smallest ef that reaches it is looked for on either side;
 * then rounds alternate, so that a busy machine disturbs both alike; the ratio is what counts. `cpu` ratios compare processor
 * time, which a busy machine disturbs less.
 *
 *     node bench/hnsw.ts --python PYTHON [--rows 100000] [--dim 128] [--metric cosine] [--spread 1] [--m 16]
 *       [--ef-construction 200] [--threads 2] [--rounds 7] [--storages int8,float32] [--queries 2000] [--seed 1]
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import type { AnnIndex, AnnMachine, HnswSpec, Metric } from '../contracts/ann.ts';
import { startKernelThreads } from '../infra/ann/kernel-threads.ts';
import { createBuilder } from '../lib/ann/index.ts';
import { randomFrom } from '../lib/images/random.ts';
import { PEER_PROGRAM } from './hnsw-peer.ts';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    rows: { type: 'string', default: '100000' },
    dim: { type: 'string', default: '128' },
    metric: { type: 'string', default: 'cosine' },
    spread: { type: 'string', default: '1' },
    m: { type: 'string', default: '16' },
    'ef-construction': { type: 'string', default: '200' },
    threads: { type: 'string', default: '2' },
    rounds: { type: 'string', default: '7' },
    builds: { type: 'string', default: '1' },
    storages: { type: 'string', default: 'int8,float32' },
    queries: { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
  },
});
const [numRows, dim, spread, m, efConstruction, numThreads, rounds, builds, numQueries, seed] = [
  ...[values.rows, values.dim, values.spread, values.m, values['ef-construction']],
  ...[values.threads, values.rounds, values.builds, values.queries, values.seed],
].map(Number) as [number, number, number, number, number, number, number, number, number, number];
const metric = values.metric as Metric;
const K = 10;
const RECALLS = [0.95, 0.99];
const MAX_EF = 2000;

/** One side of the comparison. */
interface Side {
  build(): Promise<Spent>;
  search(ef: number): Promise<Spent & { recall: number }>;
}
/** Seconds on the clock, and of processors. */
interface Spent {
  seconds: number;
  cpu: number;
}

await using threads = startKernelThreads(numThreads);
const machine: AnnMachine = numThreads > 1 ? { threads } : {};
const all = mixture(numRows + numQueries);
const rows = all.subarray(0, numRows * dim);
const queries = all.subarray(numRows * dim);
const truth = await exactNeighbours();
const folder = await mkdtemp(join(tmpdir(), 'lookalike-bench-'));
try {
  const peer = await startPeer();
  const sides: Record<string, Side> = { hnswlib: peer.side };
  for (const storage of values.storages.split(',')) sides[storage] = ours(storage as 'int8');
  const spent: Record<string, Spent[]> = {};
  for (let i = 0; i < builds; i++) {
    for (const [name, side] of Object.entries(sides)) (spent[name] ??= []).push(await side.build());
  }
  const build = Object.keys(sides).map((name) => ({ name, ...against(spent.hnswlib!, spent[name]!) }));
  const search = [];
  for (const recall of RECALLS) search.push({ recall, sides: await compare(sides, recall) });
  peer.end();
  const result = {
    question: 'hnsw against hnswlib: queries/s at equal recall@10, build seconds',
    data: { numRows, dim, metric, numClusters: clusters(), spread, numQueries, seed },
    parameters: { m, efConstruction, threads: numThreads },
    build,
    search,
    hardware: { cpu: cpus()[0]?.model, cores: cpus().length },
    versions: { node: process.version, ...peer.versions },
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  await rm(folder, { recursive: true });
}

async function compare(sides: Record<string, Side>, recall: number): Promise<object[]> {
  const efs: Record<string, number> = {};
  for (const [name, side] of Object.entries(sides)) efs[name] = await smallestEf(side, recall);
  const spent: Record<string, (Spent & { recall: number })[]> = {};
  for (let i = 0; i < rounds; i++) {
    for (const [name, side] of Object.entries(sides)) (spent[name] ??= []).push(await side.search(efs[name]!));
  }
  return Object.keys(sides).map((name) => ({
    name,
    ef: efs[name],
    recall: round(spent[name]![0]!.recall),
    queriesPerSecond: Math.round(numQueries / Math.min(...spent[name]!.map(({ seconds }) => seconds))),
    ...against(spent.hnswlib!, spent[name]!),
  }));
}

/** Above 1: sooner than the peer. Of the best of all rounds, and the median over pairs of a round. */
function against(peer: Spent[], own: Spent[]): object {
  const best = (spent: Spent[], what: keyof Spent): number => Math.min(...spent.map((one) => one[what]));
  const median = (what: keyof Spent): number =>
    round(own.map((one, i) => peer[i]![what] / one[what]).toSorted((a, b) => a - b)[own.length >> 1]!);
  return {
    seconds: round(best(own, 'seconds')),
    cpu: round(best(own, 'cpu')),
    ratio: { best: round(best(peer, 'seconds') / best(own, 'seconds')), median: median('seconds') },
    cpuRatio: { best: round(best(peer, 'cpu') / best(own, 'cpu')), median: median('cpu') },
  };
}

/** The smallest ef that reaches the recall; recall grows with ef but for noise. */
async function smallestEf(side: Side, recall: number): Promise<number> {
  let [low, high] = [K - 1, MAX_EF];
  while (high - low > 1) {
    const middle = low < 100 && high > 200 ? Math.min(high - 1, low * 2) : (low + high) >> 1;
    if ((await side.search(middle)).recall >= recall) high = middle;
    else low = middle;
  }
  return high;
}

function ours(storage: 'int8' | 'float32'): Side {
  let index: AnnIndex | undefined;
  const spec: HnswSpec = { kind: 'hnsw', metric, storage, m, efConstruction, efSearch: K, seed };
  return {
    async build() {
      const stop = clock();
      const builder = createBuilder(spec, dim, machine);
      for (let row = 0; row < numRows; row++) builder.add(rows.subarray(row * dim, (row + 1) * dim));
      index = await builder.build();
      return stop();
    },
    async search(efSearch) {
      const stop = clock();
      const found = await index!.searchBatch(queries, { k: K, efSearch });
      const spent = stop();
      let hits = 0;
      for (const [i, { rows: mine }] of found.entries()) {
        const wanted = new Set(truth.subarray(i * K, (i + 1) * K));
        for (const row of mine) if (wanted.has(row)) hits++;
      }
      return { ...spent, recall: hits / truth.length };
    },
  };
}

function clock(): () => Spent {
  const started = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return { seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6 };
  };
}

async function exactNeighbours(): Promise<Int32Array> {
  const builder = createBuilder({ kind: 'exact', metric }, dim, machine);
  for (let row = 0; row < numRows; row++) builder.add(rows.subarray(row * dim, (row + 1) * dim));
  const index = await builder.build();
  const found = await index.searchBatch(queries, { k: K });
  return Int32Array.from(found.flatMap((one) => [...one.rows]));
}

async function startPeer(): Promise<{ side: Side; versions: Record<string, string>; end(): void }> {
  const job = { dim, metric, m, efConstruction, seed, rows: '', queries: '', truth: '' };
  for (const [name, data] of Object.entries({ rows, queries, truth })) {
    job[name as 'rows'] = join(folder, name);
    await writeFile(join(folder, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  const child = spawn(values.python, ['-c', PEER_PROGRAM], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function ask<T>(message: object): Promise<T> {
    child.stdin.write(`${JSON.stringify(message)}\n`);
    const line = await lines.next();
    if (line.done === true) throw new Error('The peer ended; install hnswlib and numpy for --python.');
    return JSON.parse(line.value) as T;
  }
  const versions = await ask<Record<string, string>>(job);
  const side: Side = {
    build: () => ask({ do: 'build', threads: numThreads }),
    search: (ef) => ask({ do: 'search', ef, threads: numThreads }),
  };
  return { side, versions, end: () => child.stdin.end() };
}

function clusters(): number {
  return Math.ceil(numRows / 100);
}

/** A Gaussian mixture, f32 [count, dim]: `spread` is the deviation within a cluster, that of the centres is 1. */
function mixture(count: number): Float32Array<ArrayBuffer> {
  const random = randomFrom(seed);
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Float32Array.from({ length: clusters() * dim }, gauss);
  const data = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    const centre = Math.floor(random() * clusters()) * dim;
    for (let i = 0; i < dim; i++) data[row * dim + i] = centres[centre + i]! + spread * gauss();
  }
  return data;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
