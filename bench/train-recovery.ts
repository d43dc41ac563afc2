import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpus, tmpdir } from 'node:os';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { loadConfig } from '../infra/config/env.ts';
import { writeDemoFiles } from '../infra/demo/emoji.ts';
import { openRegistry } from '../infra/registry/registry.ts';
import { readRunState } from '../infra/supervisor/run-state.ts';
import { createParameterClient } from '../infra/sync/parameter-client.ts';
import { createPushEncoders } from '../infra/sync/push-encoders.ts';
import { TORCHRUN, TORCHRUN_PROGRAM } from './train-recovery-peer.ts';

/*
 * How long does a spread training stand still after kill -9 of one of its processes, and how much is done again? Ours on the whole stack
 * (Temporal, two trainers, two replicas, two parameter shards), beside torchrun with two workers of the same head.
 * Usage: node bench/train-recovery.ts [--kills 20] [--python python3] [--only ours|peer]   (Linux; the built program)
 */
const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    python: { type: 'string', default: 'python3' },
    only: { type: 'string' },
  },
});
const KILLS = Number(values.kills);
const CHECKPOINT_EVERY = 50;
const HEAD = { features: 1280, dim: 256, labels: 128, batch: 256 };
/** Steps between one recovery and the next kill: more than one checkpoint, less than would take long. */
const STEPS_BETWEEN = 60;
/** Whoever takes longer is counted as not recovered. */
const GIVE_UP_MS = 45_000;
const LAUNCHER = resolve(import.meta.dirname, '../bin/lookalike.js');

interface Recovery {
  /** From the kill to the next step; null when it did not come. */
  seconds: number | null;
  /** Steps done again. */
  redone: number;
}

function report(name: string, all: readonly Recovery[]): void {
  const seconds = all.flatMap((one) => (one.seconds === null ? [] : [one.seconds])).sort((a, b) => a - b);
  const at = (share: number): string => seconds[Math.round(share * (seconds.length - 1))]?.toFixed(2) ?? 'none';
  const redone = all.map((one) => one.redone).sort((a, b) => a - b);
  console.log(
    `${name}: ${seconds.length} of ${all.length} recovered, next step after ${at(0)} to ${at(1)} s, median ${at(0.5)} s; steps done ` +
      `again: median ${redone[redone.length >> 1]}, most ${redone.at(-1)}`,
  );
}

const pidsBelow = (parent: number, word: string): number[] =>
  readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const [, ppid] = /^\d+ \(.*\) \S (\d+)/s.exec(readFileSync(`/proc/${name}/stat`, 'utf8')) ?? [];
      const isOne = Number(ppid) === parent && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(word);
      return isOne ? [Number(name)] : [];
    } catch {
      // It ended while it was looked at.
      return [];
    }
  });

/** Follows a count of steps: kills when enough were taken, and times the next one. */
async function strike(steps: StepCount, kill: () => void): Promise<Recovery> {
  const start = await steps.next();
  while ((await steps.next()).step < start.step + STEPS_BETWEEN);
  for (let misses = 0; !isStruck(kill); misses++) {
    if (misses === STEPS_BETWEEN) throw new Error('Expected a process to kill, found none.');
    await steps.next();
  }
  const since = performance.now();
  // Steps that were taken before the kill and not heard of yet are no recovery.
  const before = await steps.asOfNow();
  let lowest = before.step;
  while (performance.now() - since < GIVE_UP_MS) {
    const now = await Promise.race([steps.next(), sleep(1_000)]);
    if (now === undefined) continue;
    // What was under way when the process died may still be counted: one step.
    if (now.epoch !== before.epoch) lowest = Math.min(lowest, now.restartedAt);
    if (now.step > before.step + 1 || now.epoch !== before.epoch) {
      return { seconds: (performance.now() - since) / 1000, redone: Math.max(0, before.step - lowest) };
    }
  }
  return { seconds: null, redone: 0 };
}

/** Not where the process has just been replaced, and its successor is not told of yet. */
function isStruck(kill: () => void): boolean {
  try {
    kill();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    return false;
  }
}

interface Stand {
  step: number;
  /** Changes when steps are done again. */
  epoch: number;
  /** The step from which the epoch went on. */
  restartedAt: number;
}
interface StepCount {
  /** Resolves with the next step taken. */
  next(): Promise<Stand>;
  /** Where it stands now, not when it was heard of last. */
  asOfNow(): Promise<Stand>;
}

/** Steps as somebody tells them. */
function stepCount(): StepCount & { tell: (stand: Stand) => void; askers: ((stand: Stand) => void)[] | null } {
  let last: Stand = { step: -1, epoch: 0, restartedAt: 0 };
  let waiting: ((stand: Stand) => void)[] = [];
  const count = {
    /** Of a count that is asked for: who waits for the next question. Null where steps are told as they are taken. */
    askers: null as ((stand: Stand) => void)[] | null,
    asOfNow: () => new Promise<Stand>((done) => (count.askers === null ? done(last) : count.askers.push(done))),
    next: () => new Promise<Stand>((done) => waiting.push(done)),
    tell(stand: Stand) {
      if (stand.step === last.step && stand.epoch === last.epoch) return;
      last = stand;
      for (const done of waiting.splice(0)) done(stand);
      waiting = [];
    },
  };
  return count;
}

async function ours(): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'lookalike-recovery-'));
  const ports = { LOOKALIKE_PORT: '0', LOOKALIKE_TEMPORAL_PORT: '0', LOOKALIKE_TEMPORAL_UI_PORT: '0' };
  const env = { ...process.env, ...ports, LOOKALIKE_DATA_DIR: dataDir };
  const start = (...args: string[]): ChildProcess =>
    spawn(process.execPath, [LAUNCHER, ...args], { env, stdio: ['ignore', 'pipe', 'ignore'] });
  const cli = async (...args: string[]): Promise<string> => {
    const child = start(...args);
    let out = '';
    child.stdout!.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0) throw new Error(`lookalike ${args.join(' ')} ended with ${code}: ${out}`);
    return out;
  };
  const over = new AbortController();
  let isUp = true;
  // Also where the bench itself is stopped: nothing outlives it.
  process.once('exit', () => isUp && spawnSync(process.execPath, [LAUNCHER, 'down'], { env, stdio: 'ignore' }));
  try {
    await cli('up', '--detach', '--trainers', '2');
    const files = writeDemoFiles(join(dataDir, 'files'), 256);
    const shop = ['--catalogue', 'shop'];
    await cli('catalogue', 'import', files.items.path, ...shop);
    await cli('catalogue', 'import', files.train.path, ...shop, '--as', 'train');
    await cli('catalogue', 'import', files.holdout.path, ...shop, '--as', 'holdout');
    const settings = [
      'strategy=dataParallel',
      'epochs=100000',
      `dim=${HEAD.dim}`,
      `labelsPerBatch=${HEAD.batch / 2}`,
      'samplesPerLabel=2',
      `checkpointEverySteps=${CHECKPOINT_EVERY}`,
    ].flatMap((setting) => ['--set', `train.${setting}`]);
    await cli('retrain', ...shop, '--recipe', 'fast', '--set', 'index.kind=exact', ...settings);
    const steps = stepCount();
    steps.askers = [];
    void followShards(dataDir, cli, steps, over.signal);
    const trainers = (): number[] =>
      readRunState({ dataDir })?.processes.flatMap((row) =>
        row.kind === 'trainer' && row.process ? [row.process.pid] : [],
      ) ?? [];
    for (const [name, word] of [
      ['replica', 'replica-process'],
      ['parameter shard', 'shard-process'],
    ] as const) {
      const all: Recovery[] = [];
      for (let i = 0; i < KILLS; i++) {
        all.push(
          await strike(steps, () => {
            const pids = trainers().flatMap((pid) => pidsBelow(pid, word));
            process.kill(pids[i % pids.length]!, 'SIGKILL');
          }),
        );
      }
      report(`lookalike, ${name} killed`, all);
    }
  } finally {
    over.abort();
    await cli('down').catch(() => undefined);
    isUp = false;
    rmSync(dataDir, { recursive: true, force: true });
  }
}

/** Asks the shards themselves, every few milliseconds. */
async function followShards(
  dataDir: string,
  cli: (...args: string[]) => Promise<string>,
  steps: ReturnType<typeof stepCount>,
  over: AbortSignal,
): Promise<void> {
  const config = loadConfig({ LOOKALIKE_DATA_DIR: dataDir });
  const registry = await openRegistry(config, () => Promise.reject(new Error('No generation is made here.')));
  let run: string | undefined;
  let seen: Stand & { incarnation: number } = { step: -1, epoch: 0, restartedAt: 0, incarnation: 0 };
  while (!over.aborted) {
    try {
      run ??= `${(JSON.parse(await cli('workflows', 'show', 'retrain/shop/train', '--json')) as { runId: string }).runId}/judged`;
      const name = run;
      const client = createParameterClient({
        token: config.dataPlane.token,
        run: name,
        layout: { entries: [], length: 1000 },
        numShards: 2,
        endpoints: () => registry.training.shards(name),
        encoders: createPushEncoders({ kind: 'none' }, []),
        attemptMs: 100,
        silenceMs: 500,
      });
      try {
        while (!over.aborted) {
          const asking = steps.askers!.splice(0);
          let states: Awaited<ReturnType<typeof client.status>>;
          try {
            states = await client.status();
          } catch (error) {
            // A shard that was killed leaves what was heard before it.
            for (const done of asking) done(seen);
            throw error;
          }
          const [{ incarnation }] = states as [(typeof states)[number]];
          if (incarnation > 0 && states.every((state) => state.incarnation === incarnation)) {
            const step = Math.min(...states.map(({ statistics }) => statistics.step));
            if (incarnation !== seen.incarnation) {
              // Seeded anew: the next step is what is waited for.
              seen = { step, epoch: seen.epoch, restartedAt: step, incarnation };
            } else if (step > seen.step) {
              const isAnew = seen.step === seen.restartedAt && seen.restartedAt !== 0;
              seen = { ...seen, step, epoch: isAnew ? seen.epoch + 1 : seen.epoch };
              steps.tell(seen);
            }
          }
          for (const done of asking) done(seen);
          await sleep(10);
        }
      } finally {
        await client.close();
      }
    } catch {
      // A shard is gone, or not there yet.
      await sleep(20);
    }
  }
  await registry.close();
}

async function torchrun(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'lookalike-torchrun-'));
  const program = join(folder, 'train.py');
  writeFileSync(program, TORCHRUN_PROGRAM);
  const request = { ...HEAD, every: CHECKPOINT_EVERY, checkpoint: join(folder, 'checkpoint.pt') };
  const words = ['-c', TORCHRUN, '--standalone', '--nproc_per_node', '2', '--max_restarts', '1000'];
  const env = { ...process.env, OMP_NUM_THREADS: '1', TORCH_DISABLE_SHARE_RDZV_TCP_STORE: '1' };
  const all: Recovery[] = [];
  let child: ChildProcess | undefined;
  const end = (): void => {
    if (child?.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
  };
  // It starts its workers again and again, also when nobody listens any more.
  process.once('exit', end);
  try {
    while (all.length < KILLS) {
      const steps = stepCount();
      const workers = new Map<number, number>();
      let stand: Stand = { step: -1, epoch: 0, restartedAt: 0 };
      child = spawn(values.python, [...words, program, JSON.stringify(request)], {
        env,
        detached: true,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      createInterface(child.stdout!).on('line', (line) => {
        const [word, a, b] = line.split(' ');
        if (word === 'worker') workers.set(Number(a), Number(b));
        if (word !== 'step') return;
        const step = Number(a);
        const isAnew = step <= stand.step;
        stand = isAnew ? { step, epoch: stand.epoch + 1, restartedAt: step - 1 } : { ...stand, step };
        steps.tell(stand);
      });
      const isThere = await Promise.race([steps.next(), once(child, 'exit'), sleep(GIVE_UP_MS)]);
      if (isThere === undefined || Array.isArray(isThere)) {
        console.log(`torchrun: ${values.python} could not run it; no peer.`);
        return;
      }
      while (all.length < KILLS) {
        const recovery = await strike(steps, () => process.kill(workers.get(1)!, 'SIGKILL'));
        all.push(recovery);
        // One that hangs does not come back: the rest is asked of a new launch.
        if (recovery.seconds === null) break;
      }
      process.kill(-child.pid!, 'SIGKILL');
    }
  } finally {
    end();
    rmSync(folder, { recursive: true, force: true });
  }
  report('torchrun, worker 1 killed', all);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
console.log(
  `head ${HEAD.features} -> ${HEAD.dim}, ${HEAD.labels} labels, batch ${HEAD.batch}, checkpoint every ${CHECKPOINT_EVERY} steps, ` +
    `${KILLS} kills each, seed 1; ${cpus().length} x ${cpus()[0]?.model}`,
);
if (values.only !== 'ours') await torchrun();
if (values.only !== 'peer') await ours();
