/**
 * How far is the simulator of `lookalike advise train` off? Trainings of real processes, one network namespace each, on links of a set rate
 * (the kernel's token buckets), beside what the simulator predicts from figures that are measured here first: the computing time of
 * a slice in one process, what a shard updates in a second, what the compression takes, and what a message and a byte of it take over encrypted loopback.
 *
 *     node bench/train-network.ts [--mbit 50,200,1000] [--replicas 2] [--shards 2] [--steps 40]
 *
 * Linux, as root.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import type { DataParallelConfig } from '../contracts/training.ts';
import { measureGang } from '../infra/bench/train/gang.ts';
import { layoutOfWorkload } from '../infra/bench/train/layout.ts';
import { openLimitedNetwork, whyNoNetwork } from '../infra/bench/train/limited-network.ts';
import { waysOf } from '../infra/bench/train/ways.ts';
import type { TrainWorkload } from '../infra/bench/train/workload.ts';
import { hardware } from '../infra/bench/hardware.ts';
import { loadConfig } from '../infra/config/env.ts';
import { simulate } from '../lib/advise/simulate.ts';
import { createEncoder, decodeGradient } from '../lib/sync/compression/index.ts';
import { createOptimizer } from '../lib/sync/optimizer.ts';
import { normals, randomOf } from '../lib/train/random.ts';
import { connectEcho } from './sync-echo.ts';

const { values } = parseArgs({
  options: {
    mbit: { type: 'string', default: '50,200,1000' },
    replicas: { type: 'string', default: '2' },
    shards: { type: 'string', default: '2' },
    steps: { type: 'string', default: '40' },
    batch: { type: 'string', default: '256' },
    only: { type: 'string', default: '' },
  },
});
const TRANSPORT = 'zeromq + CURVE';
const HEADER = Buffer.alloc(64, 7);
const SHARD_BYTES = 720_000;
const rates = values.mbit.split(',').map(Number);
const [replicas, shards, steps, batch] = [values.replicas, values.shards, values.steps, values.batch].map(Number) as [
  number,
  number,
  number,
  number,
];
const only = values.only === '' ? null : values.only.split(';');
/** Of what goes over a link, the share that is not headers of TCP, IP and Ethernet at 1,500 bytes a packet. */
const PAYLOAD_SHARE = 1448 / 1514;
const WORKLOAD: TrainWorkload = { model: 'head', features: 1280, dim: 256, labels: 128, batch, steps, seed: 1 };

const why = whyNoNetwork();
if (why !== null) {
  console.log(`Skipped: ${why}.`);
  process.exit();
}
const config = loadConfig();
const { signal } = new AbortController();
const numParameters = layoutOfWorkload(WORKLOAD).length;
// Of the rows that one replica computes.
const alone = await measureGang(config, { ...WORKLOAD, batch: batch / replicas }, undefined, signal);
const computeSeconds = alone.medianStepMs / 1e3;
const updateSeconds = medianSeconds(updating());
const { messageSeconds, byteSeconds } = await transportFigures();
console.log(
  `${numParameters} parameters, ${replicas} replicas, ${shards} shards, global batch ${batch}, ${steps} steps; ` +
    `a slice ${(computeSeconds * 1e3).toFixed(1)} ms, an update ${((numParameters * 4) / updateSeconds / 1e9).toFixed(2)} GB/s, ` +
    `a message ${(messageSeconds * 1e6).toFixed(0)} us, a byte ${(byteSeconds * 1e9).toFixed(2)} ns at each end`,
);
console.log(JSON.stringify(hardware()));

const rows: { strategy: string; mbit: number; measured: number; predicted: number; error: number }[] = [];
for (const mbit of rates) {
  for (const { name, dataParallel } of waysOf(replicas, shards)) {
    if (only !== null && !only.includes(name)) continue;
    const { exchange } = dataParallel;
    const numHosts = replicas + (exchange.kind === 'parameterServer' ? exchange.shards : 0);
    const network = openLimitedNetwork(numHosts, mbit * 1e6);
    let measured: number;
    try {
      const figures = await measureGang(config, WORKLOAD, dataParallel, signal, network.hosts);
      measured = 1e3 / figures.stepsPerSecond;
    } finally {
      network.close();
    }
    const predicted = predictedMs(dataParallel, mbit);
    rows.push({ strategy: name, mbit, measured, predicted, error: predicted / measured - 1 });
    console.log(
      `${mbit} Mbit/s, ${name}: ${measured.toFixed(1)} ms a step, predicted ${predicted.toFixed(1)} ` +
        `(${(100 * (predicted / measured - 1)).toFixed(0)} %)`,
    );
  }
}
for (const mbit of rates) {
  const errors = rows.filter((row) => row.mbit === mbit).map(({ error }) => Math.abs(error));
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  console.log(
    `${mbit} Mbit/s: off by ${(100 * mean).toFixed(0)} % in the mean, ${(100 * Math.max(...errors)).toFixed(0)} % at most`,
  );
}
console.log(JSON.stringify(rows));

function predictedMs(strategy: DataParallelConfig, mbit: number): number {
  const { kind } = strategy.compression;
  const { slicesPerSecond } = simulate({
    workload: { numParameters, computeSeconds },
    cluster: {
      replicas,
      bitsPerSecond: mbit * 1e6 * PAYLOAD_SHARE,
      messageSeconds,
      // Part of what a message takes.
      frameSeconds: 0,
      byteSeconds,
      updateBytesPerSecond: (numParameters * 4) / updateSeconds,
      codecSecondsPerParameter: kind === 'none' ? 0 : medianSeconds(coding(strategy.compression)) / numParameters,
      stragglers: { variation: 0, slowShare: 0, slowFactor: 1 },
    },
    strategy,
    numSteps: steps,
    seed: 1,
  });
  return (replicas * 1e3) / slicesPerSecond;
}

/** One way of an echo through two encrypted sockets: of a small message, and what each byte of a large one adds. */
async function transportFigures(): Promise<{ messageSeconds: number; byteSeconds: number }> {
  const server = fork(new URL('./sync-transport.ts', import.meta.url).pathname, [TRANSPORT, '']);
  const [address] = (await once(server, 'message')) as [string];
  const echo = await connectEcho(TRANSPORT, address);
  const oneWay = async (size: number): Promise<number> => {
    const body = Buffer.alloc(size, 1);
    const times: number[] = [];
    for (let i = 0; i < 40; i++) {
      const since = performance.now();
      await echo.ask(HEADER, body);
      times.push((performance.now() - since) / 2e3);
    }
    return times.sort((a, b) => a - b)[times.length >> 1]!;
  };
  const [small, large] = [await oneWay(64), await oneWay(SHARD_BYTES)];
  echo.close();
  server.disconnect();
  await once(server, 'exit');
  return { messageSeconds: small, byteSeconds: (large - small) / SHARD_BYTES / 2 };
}

function gradient(): Float32Array {
  return normals(numParameters, randomOf('gradient'));
}

function updating(): () => void {
  const state = { values: gradient(), firstMoments: gradient(), secondMoments: new Float32Array(numParameters) };
  const update = createOptimizer({ kind: 'adam', momentum: 0.9, weightDecay: 0.01 }, [], numParameters);
  const by = gradient();
  let numUpdates = 0;
  return () => update(state, by, { learningRate: 1e-3, numUpdates: numUpdates++ });
}

/** Once there and back. */
function coding(compression: DataParallelConfig['compression']): () => void {
  const encoder = createEncoder(compression, numParameters);
  const by = gradient();
  return () => void decodeGradient(compression.kind, encoder.encode(by), numParameters);
}

function medianSeconds(work: () => void): number {
  const times = Array.from({ length: 25 }, () => {
    const since = performance.now();
    work();
    return (performance.now() - since) / 1e3;
  });
  return times.sort((a, b) => a - b)[times.length >> 1]!;
}
