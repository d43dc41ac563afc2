/**
 * How good is what a hyper-parameter search finds for the same number of epochs, beside Optuna's samplers and pruners on the same
 * objectives, and what does scheduling a trial cost: ours over a real Temporal server with trainers that do nothing, Optuna in memory
 * and in SQLite, Ray Tune where a Python with it is named?
 *
 *     node bench/tune.ts --python PYTHON [--ray PYTHON] [--seeds 10] [--budget 540] [--trials 40]   (the built program)
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import { TASK_QUEUES } from '../contracts/queues.ts';
import type { JsonObject } from '../contracts/json.ts';
import type { SchedulerConfig, SearchConfig, TuneConfig, TuneState } from '../contracts/tuning.ts';
import { WORKFLOWS } from '../contracts/workflows.ts';
import { loadConfig } from '../infra/config/env.ts';
import { createLogger } from '../infra/log/logger.ts';
import { findTemporal } from '../infra/provision/temporal.ts';
import { resolveRetrainConfig } from '../infra/recipes/resolve.ts';
import { dataConverter } from '../infra/temporal/data-converter.ts';
import { startDevServer } from '../infra/temporal/dev-server.ts';
import { prepareNamespace } from '../infra/temporal/namespace.ts';
import { workerDefaults } from '../infra/temporal/worker-options.ts';
import { workflowCode } from '../infra/temporal/workflow-code.ts';
import { drawParams } from '../lib/tune/draw.ts';
import { randomOf } from '../lib/train/random.ts';
import { afterDecision } from '../workflows/policy/tune/after-decision.ts';
import { nextDecision } from '../workflows/policy/tune/next-decision.ts';
import { MAX_EPOCHS, OBJECTIVES } from './tune-objectives.ts';
import type { Objective } from './tune-objectives.ts';
import { PEER_PROGRAM } from './tune-peer.ts';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    ray: { type: 'string' },
    seeds: { type: 'string', default: '10' },
    budget: { type: 'string', default: '540' },
    trials: { type: 'string', default: '40' },
  },
});
const [numSeeds, budget, numTrials] = [values.seeds, values.budget, values.trials].map(Number) as [
  number,
  number,
  number,
];

const SEARCHES: Record<string, SearchConfig> = {
  random: { kind: 'random' },
  tpe: { kind: 'tpe', startup: 10, candidates: 24, gamma: 0.15 },
};
const SCHEDULERS: SchedulerConfig[] = [
  { kind: 'none' },
  { kind: 'medianStop', grace: 1, every: 1 },
  { kind: 'asha', minEpochs: 1, eta: 3 },
  { kind: 'hyperband', eta: 3 },
];
const base = resolveRetrainConfig({ set: [`train.epochs=${MAX_EPOCHS}`] });

/** Carries out decisions one at a time until so many epochs are trained; what is best by then. */
function ours(objective: Objective, search: SearchConfig, scheduler: SchedulerConfig, seed: number): number {
  const config: TuneConfig = {
    ...{ base, space: objective.space, search, scheduler, numTrials: 500, concurrency: 1, retries: 0, seed },
  };
  let state: TuneState = { trials: [] };
  let [epochs, best] = [0, -Infinity];
  for (;;) {
    const decision = nextDecision(config, state);
    if (decision.kind === 'finished') return best;
    if (decision.kind !== 'wait') {
      state = afterDecision(state, decision);
      continue;
    }
    const trial = state.trials.find(({ status }) => status === 'running')!;
    const from = trial.reports.at(-1)?.epoch ?? 0;
    const to = Math.min(trial.untilEpoch, from + budget - epochs);
    epochs += to - from;
    const value = objective.value(trial.params, to);
    best = Math.max(best, value);
    if (epochs >= budget) return best;
    const told = { ...trial, reports: [...trial.reports, { epoch: to, value }] };
    const status = to >= MAX_EPOCHS ? ('done' as const) : ('paused' as const);
    state = { trials: state.trials.map((one) => (one.id === trial.id ? { ...told, status } : one)) };
  }
}

interface Peer {
  versions: Record<string, string>;
  ask<Answer>(task: object): Promise<Answer>;
  end(): void;
}

async function startPeer(python: string, which: string): Promise<Peer> {
  const child = spawn(python, ['-u', '-c', PEER_PROGRAM, which], { stdio: ['pipe', 'pipe', 'pipe'] });
  let words = '';
  child.stderr.on('data', (chunk: Buffer) => (words = (words + chunk.toString()).slice(-3000)));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<unknown> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done === true) throw new Error(`The peer ${which} ended: ${words}`);
      if (value.startsWith('@')) return JSON.parse(value.slice(1)) as unknown;
    }
  };
  return {
    versions: (await next()) as Peer['versions'],
    ask: async <Answer>(task: object) => {
      child.stdin.write(`${JSON.stringify(task)}\n`);
      return (await next()) as Answer;
    },
    end: () => child.stdin.end(),
  };
}

const seeds = Array.from({ length: numSeeds }, (_, i) => i + 1);
const median = (all: readonly number[]): number => {
  const sorted = all.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1]! + sorted[sorted.length >> 1]!) / 2;
};
const mean = (all: readonly number[]): number => all.reduce((sum, one) => sum + one, 0) / all.length;

/** How far from the best that can be had, over the seeds. */
function regret(objective: Objective, found: readonly number[]): string {
  const far = found.map((value) => objective.best - value);
  const digits = (value: number): string => value.toFixed(4);
  return `median ${digits(median(far))}, mean ${digits(mean(far))}, worst ${digits(Math.max(...far))}`;
}

async function compareSearches(peer: Peer): Promise<void> {
  for (const [name, objective] of Object.entries(OBJECTIVES)) {
    const points = Array.from({ length: 50 }, (_, i): [JsonObject, number] => [
      drawParams(objective.space, (path) => randomOf(i, path)()),
      1 + (i % MAX_EPOCHS),
    ]);
    const theirs = await peer.ask<number[]>({ do: 'check', objective: name, points });
    points.forEach(([params, epoch], i) => {
      if (Math.abs(objective.value(params, epoch) - theirs[i]!) > 1e-9)
        throw new Error(`The objectives ${name} differ.`);
    });
    console.log(
      `\n${name}: distance from the best after ${budget} epochs (at most ${MAX_EPOCHS} a trial), ${numSeeds} seeds`,
    );
    const schedulers = name === 'branin' ? SCHEDULERS.slice(0, 1) : SCHEDULERS;
    for (const scheduler of schedulers) {
      for (const search of ['random', 'tpe']) {
        const found = seeds.map((seed) => ours(objective, SEARCHES[search]!, scheduler, seed));
        console.log(`  ours    ${search.padEnd(9)} ${scheduler.kind.padEnd(10)} ${regret(objective, found)}`);
      }
      for (const search of ['random', 'tpe', 'tpe joint']) {
        const found: number[] = [];
        for (const seed of seeds) {
          const task = { do: 'search', objective: name, search, scheduler: scheduler.kind, seed, budget };
          found.push((await peer.ask<{ best: number }>(task)).best);
        }
        console.log(`  optuna  ${search.padEnd(9)} ${scheduler.kind.padEnd(10)} ${regret(objective, found)}`);
      }
    }
  }
}

/** A search over a real server whose trainers answer at once: what is left is scheduling. */
async function oursOverTemporal(client: Client, concurrency: number): Promise<number> {
  const config: TuneConfig = {
    base: resolveRetrainConfig({ set: [`train.epochs=${MAX_EPOCHS}`] }),
    space: { 'train.optimizer.learningRate': { kind: 'float', low: 1e-4, high: 1, scale: 'log' } },
    ...{ search: { kind: 'random' }, scheduler: { kind: 'none' } },
    ...{ numTrials, concurrency, retries: 0, seed: 1 },
  };
  const started = performance.now();
  await client.workflow.execute(WORKFLOWS.tune, {
    taskQueue: TASK_QUEUES.orchestrator,
    workflowId: `tune/bench-${concurrency}-${Math.round(started)}`,
    args: [{ catalogue: 'bench', config }],
  });
  return (performance.now() - started) / 1000;
}

const activities = {
  takeSnapshot: async () => ({ artifact: 'snapshot-1', reused: false, numItems: 1, numExamples: 1, numImages: 1 }),
  ensureBackbone: async () => ({ artifact: 'model-1', reused: false }),
  describeModel: async ({ model }: { model: string }) => ({ stage: 'backbone', name: model, dim: 4, backbone: model }),
  planEmbedding: async () => ({
    ...{ plan: 'plan-1', embeddings: 'embeddings-1', numChunks: 0, numImages: 1, numReused: 1, numRejected: 0 },
  }),
  resolveTrial: async ({ base: config }: { base: unknown }) => config,
  countTrainers: async () => ({ trainers: 64 }),
  trainTrial: async () => ({
    ...{ reports: [{ epoch: MAX_EPOCHS, value: 0.5 }], checkpoint: null, model: 'model-2', recall: 0.5, reused: false },
  }),
  trainHead: async () => ({ model: 'model-2', reused: true, metrics: {} }),
  publishTuning: async () => ({ artifact: 'tuning-1', reused: false }),
};

async function measureOverhead(optuna: Peer, ray: Peer | null): Promise<void> {
  console.log(`\nscheduling a trial, of ${numTrials} that do nothing, three runs`);
  const tell = (name: string, seconds: readonly number[]): void => {
    const ms = seconds.map((one) => ((one / numTrials) * 1000).toFixed(1));
    console.log(`  ${name.padEnd(36)} ${ms.join(', ')} ms a trial`);
  };
  const thrice = async (run: () => Promise<number>): Promise<number[]> => [await run(), await run(), await run()];
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-bench-'));
  const config = loadConfig({
    ...{ LOOKALIKE_DATA_DIR: folder, LOOKALIKE_CACHE_DIR: process.env.LOOKALIKE_CACHE_DIR },
    ...{ LOOKALIKE_TEMPORAL_PORT: '0', LOOKALIKE_TEMPORAL_UI_PORT: '0' },
  });
  const binary = (await findTemporal(config))?.path;
  if (binary === undefined) throw new Error('Expected a Temporal CLI on PATH or in the cache.');
  const logger = createLogger({ logLevel: 'error' }, 'temporal');
  const server = await startDevServer({ binary, config, dbFile: join(folder, 'temporal.db'), logger });
  const { address } = server;
  const connection = await Connection.connect({ address });
  const native = await NativeConnection.connect({ address });
  const client = new Client({ connection, dataConverter });
  await prepareNamespace(client, logger);
  const workers = await Promise.all(
    Object.values(TASK_QUEUES).map((taskQueue) =>
      Worker.create({
        ...workerDefaults,
        ...{ connection: native, taskQueue, activities },
        ...(taskQueue === TASK_QUEUES.orchestrator && workflowCode()),
      }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  await oursOverTemporal(client, 8);
  for (const concurrency of [1, 8]) {
    tell(`ours over Temporal, ${concurrency} at once`, await thrice(() => oursOverTemporal(client, concurrency)));
  }
  for (const worker of workers) worker.shutdown();
  await Promise.all(running);
  await native.close();
  await connection.close();
  await server.stop();
  await rm(folder, { recursive: true });

  for (const durable of [false, true]) {
    const run = async () =>
      (await optuna.ask<{ seconds: number }>({ do: 'overhead', trials: numTrials, durable })).seconds;
    tell(`optuna, ${durable ? 'SQLite' : 'in memory'}, one process`, await thrice(run));
  }
  if (ray === null) return;
  for (const concurrency of [1, 8]) {
    const run = async () => (await ray.ask<{ seconds: number }>({ trials: numTrials, concurrency })).seconds;
    tell(`ray tune, ${concurrency} at once`, await thrice(run));
  }
}

const optuna = await startPeer(values.python, 'optuna');
const ray = values.ray === undefined ? null : await startPeer(values.ray, 'ray');
const cpu =
  (await readFile('/proc/cpuinfo', 'utf8').catch(() => '')).match(/model name\s*: (.*)/)?.[1] ?? 'unknown CPU';
console.log(`${cpu}, Node ${process.version}, ${JSON.stringify({ ...optuna.versions, ...ray?.versions })}`);
await compareSearches(optuna);
await measureOverhead(optuna, ray);
optuna.end();
ray?.end();
