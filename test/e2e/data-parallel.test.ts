import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveTraining } from '../../contracts/data-parallel.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { loadConfig } from '../../infra/config/env.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import { openRegistry } from '../../infra/registry/registry.ts';
import { identify, signalProcess } from '../../infra/supervisor/process-identity.ts';
import { readRunState } from '../../infra/supervisor/run-state.ts';
import { createParameterClient } from '../../infra/sync/parameter-client.ts';
import { createPushEncoders } from '../../infra/sync/push-encoders.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';
import { childrenOf, listeningPorts, treeOf } from './process-tree.ts';

const IN = ['--catalogue', 'shop'];
const RECIPE = ['--recipe', 'fast', '--force', '--wait', '--set', 'index.kind=exact'];
/** About twice as long as all disasters take here, for machines that are faster; a checkpoint often, as each shows that all parts are there. */
const SPREAD = [
  'strategy=dataParallel',
  'epochs=800',
  'dim=32',
  'labelsPerBatch=16',
  'samplesPerLabel=2',
  'checkpointEverySteps=50',
].flatMap((setting) => ['--set', `train.${setting}`]);
const SOON = { timeout: 120_000, interval: 100 };
const DISK_BYTES = 256 * 1024 ** 2;
const REPLICA = 'replica-process';
const SHARD = 'shard-process';

const RING = ['epochs=400', 'dataParallel.exchange.kind=allReduce'].flatMap((setting) => ['--set', `train.${setting}`]);

const train = (shop: Installation, more: string[] = []): Promise<RetrainOutput> =>
  shop.json<RetrainOutput>('retrain', ...IN, ...RECIPE, ...SPREAD, ...more);

/** @returns what waits until all parts have taken steps together again: each checkpoint is of such a step */
function follow(api: string, ending: Promise<unknown>): () => Promise<void> {
  let isOver = false;
  ending.then(
    () => (isOver = true),
    () => (isOver = true),
  );
  return async () => {
    const before = (await liveTraining(api))?.checkpoint ?? null;
    await expect
      .poll(async () => {
        if (isOver) throw new Error('Expected the training to last longer than the disasters.');
        const { checkpoint = null } = (await liveTraining(api)) ?? {};
        return checkpoint !== null && checkpoint !== before;
      }, SOON)
      .toBe(true);
  };
}

/** A catalogue whose features are computed: what is left to a run is to learn. */
async function prepare(shop: Installation): Promise<void> {
  await shop.cli('up', '--detach', '--trainers', '2');
  const files = writeDemoFiles(join(shop.dataDir, 'files'), 60);
  await shop.json('catalogue', 'import', files.items.path, ...IN);
  await shop.json('catalogue', 'import', files.train.path, ...IN, '--as', 'train');
  await shop.json('catalogue', 'import', files.holdout.path, ...IN, '--as', 'holdout');
  await shop.json('retrain', ...IN, ...RECIPE, '--set', 'train.epochs=1');
  await shop.cli('down');
}

async function start(shop: Installation): Promise<string> {
  const { urls } = await shop.json<{ urls: { api: string } }>('up', '--detach', '--trainers', '2');
  return urls.api;
}

async function liveTraining(api: string): Promise<LiveTraining | null> {
  try {
    const response = await fetch(`${api}/v1/catalogues/shop/retrain`);
    return ((await response.json()) as { training?: LiveTraining | null }).training ?? null;
  } catch {
    // Temporal may be the one that was killed a moment ago.
    return null;
  }
}

const pidOf = (shop: Installation, name: string): number =>
  readRunState({ dataDir: shop.dataDir })?.processes.find((row) => row.name === name)?.process?.pid ?? 0;
const trainersOf = (shop: Installation): number[] => ['trainer-1', 'trainer-2'].map((name) => pidOf(shop, name));
const partsOf = (shop: Installation, kind: string): number[] =>
  trainersOf(shop).flatMap((trainer) => childrenOf(trainer, kind));

function signal(pid: number | undefined, name: NodeJS.Signals): void {
  const identity = pid === undefined ? undefined : identify(pid);
  if (identity === undefined || !signalProcess(identity, name)) throw new Error(`Expected process ${pid} to live.`);
}

/** Whoever knows the installation's secret is answered by the shards of the run; whoever knows another one is not. */
async function expectStrangersRefused(shop: Installation): Promise<void> {
  const { runId } = await shop.json<{ runId: string }>('workflows', 'show', 'retrain/shop/train');
  const run = `${runId}/judged`;
  const config = loadConfig({ LOOKALIKE_DATA_DIR: shop.dataDir });
  const registry = await openRegistry(config, () => Promise.reject(new Error('No generation is made here.')));
  try {
    const shards = await registry.training.shards(run);
    expect(shards).toHaveLength(2);
    const ask = async (token: string): Promise<unknown> => {
      const layout = { entries: [], length: 1000 };
      const encoders = createPushEncoders({ kind: 'none' }, []);
      const endpoints = () => Promise.resolve(shards);
      const options = { token, run, layout, numShards: 2, endpoints, encoders, silenceMs: 3_000 };
      const client = createParameterClient(options);
      return client.status().finally(() => client.close());
    };
    expect(await ask(config.dataPlane.token)).toMatchObject([{ statistics: {} }, { statistics: {} }]);
    await expect(ask('a secret of somebody else')).rejects.toMatchObject({ code: 'unauthorized' });
  } finally {
    await registry.close();
  }
}

/** A file system that can be filled, where mounting one is permitted; the artefacts of an installation lie on it. */
function smallDisk(): { folder: string; fill: () => void; free: () => void; remove: () => void } | null {
  const folder = mkdtempSync(join(tmpdir(), 'lookalike-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    rmSync(folder, { recursive: true });
    return null;
  }
  const filler = join(folder, 'filler');
  return {
    folder,
    fill() {
      const { bavail, bsize } = statfsSync(folder);
      // More than there is room for, as others write and delete meanwhile.
      expect(() => writeFileSync(filler, Buffer.alloc(bavail * bsize + 2 ** 20))).toThrow(/ENOSPC/);
    },
    free: () => rmSync(filler),
    remove() {
      execFileSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true });
    },
  };
}

describe.skipIf(process.platform !== 'linux')(
  'a retrain spread over two trainers (skipped elsewhere than on Linux)',
  () => {
    let calm: Installation;
    let stormy: Installation;
    const disk = smallDisk();

    beforeAll(async () => {
      calm = createInstallation();
      await prepare(calm);
      const artifacts = join(disk?.folder ?? mkdtempSync(join(tmpdir(), 'lookalike-')), 'artifacts');
      stormy = createInstallation({ LOOKALIKE_ARTIFACTS: artifacts });
      mkdirSync(artifacts, { recursive: true });
      cpSync(calm.dataDir, stormy.dataDir, { recursive: true });
      cpSync(join(calm.dataDir, 'artifacts'), artifacts, { recursive: true });
    });
    afterAll(async () => {
      await calm?.dispose();
      await stormy?.dispose();
      disk?.remove();
    });

    test('ends in the same bytes whatever is killed, frozen or full on the way, and leaves nothing behind', async () => {
      await start(calm);
      const expected = await train(calm);
      await calm.cli('down');

      const api = await start(stormy);
      const idle = trainersOf(stormy).map((pid) => listeningPorts(treeOf(pid)).length);
      const ending = train(stormy);
      const untilTheyGoOn = follow(api, ending);
      const disasters: Record<string, () => Promise<void> | void> = {
        'a replica killed': () => signal(partsOf(stormy, REPLICA)[0], 'SIGKILL'),
        'a shard killed': () => signal(partsOf(stormy, SHARD)[0], 'SIGKILL'),
        'a replica frozen': () => signal(partsOf(stormy, REPLICA).at(-1), 'SIGSTOP'),
        'a trainer killed': () =>
          signal(
            trainersOf(stormy).find((pid) => childrenOf(pid, '-process').length > 0),
            'SIGKILL',
          ),
        'the orchestrator killed': () => signal(pidOf(stormy, 'orchestrator-1'), 'SIGKILL'),
        'Temporal killed': () => signal(pidOf(stormy, 'temporal'), 'SIGKILL'),
      };
      if (disk !== null) {
        disasters['the disk full'] = async () => {
          disk.fill();
          await expect
            .poll(async () => (await liveTraining(api))?.parts?.[0]?.note ?? '', SOON)
            .toMatch(/ENOSPC|no space left/i);
          disk.free();
        };
      }
      await untilTheyGoOn();
      await expectStrangersRefused(stormy);
      const recovered = [disk === null && 'the disk full: skipped, as mounting a small one is not permitted here'];
      for (const [name, strike] of Object.entries(disasters)) {
        const since = performance.now();
        await strike();
        await untilTheyGoOn();
        recovered.push(`${name}: ${((performance.now() - since) / 1000).toFixed(1)} s`);
      }
      const output = await ending;

      expect(output.model).toBe(expected.model);
      expect(output.quality).toEqual(expected.quality);
      await expect.poll(() => partsOf(stormy, '-process'), SOON).toEqual([]);
      expect(trainersOf(stormy).map((pid) => listeningPorts(treeOf(pid)).length)).toEqual(idle);
      console.log(`two checkpoints later after: ${recovered.filter(Boolean).join('; ')}`);
    });

    test('over a ring ends in the same bytes whichever replicas are killed or frozen, and leaves nothing behind', async () => {
      await start(calm);
      const expected = await train(calm, RING);
      await calm.cli('down');

      await stormy.cli('down');
      const api = await start(stormy);
      const idle = trainersOf(stormy).map((pid) => listeningPorts(treeOf(pid)).length);
      const ending = train(stormy, RING);
      const untilTheyGoOn = follow(api, ending);
      const disasters: Record<string, () => void> = {
        'a replica killed': () => signal(partsOf(stormy, REPLICA)[0], 'SIGKILL'),
        'another killed': () => signal(partsOf(stormy, REPLICA).at(-1), 'SIGKILL'),
        'a replica frozen': () => signal(partsOf(stormy, REPLICA)[0], 'SIGSTOP'),
      };
      await untilTheyGoOn();
      expect(partsOf(stormy, SHARD)).toEqual([]);
      const recovered: string[] = [];
      for (const [name, strike] of Object.entries(disasters)) {
        const since = performance.now();
        strike();
        await untilTheyGoOn();
        recovered.push(`${name}: ${((performance.now() - since) / 1000).toFixed(1)} s`);
      }
      const output = await ending;

      expect(output.model).toBe(expected.model);
      expect(output.quality).toEqual(expected.quality);
      await expect.poll(() => partsOf(stormy, '-process'), SOON).toEqual([]);
      expect(trainersOf(stormy).map((pid) => listeningPorts(treeOf(pid)).length)).toEqual(idle);
      console.log(`over a ring, a checkpoint later after: ${recovered.join('; ')}`);
    });
  },
);
