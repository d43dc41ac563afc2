import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LiveTraining, TrainingPart } from '../../contracts/data-parallel.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import { identify, signalProcess } from '../../infra/supervisor/process-identity.ts';
import { readRunState } from '../../infra/supervisor/run-state.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';
import { childrenOf } from './process-tree.ts';

const IN = ['--catalogue', 'shop'];
/** Long enough to be looked at and hit on the way; two stages, the second of which shares its classifier with a third process. */
const CUT = [
  'strategy=modelParallel',
  'modelParallel.stages=2',
  'modelParallel.classifierParts=2',
  'hidden=[64]',
  'epochs=150',
  'dim=32',
  'labelsPerBatch=16',
  'samplesPerLabel=2',
  'checkpointEverySteps=50',
].flatMap((setting) => ['--set', `train.${setting}`]);
const SOON = { timeout: 120_000, interval: 200 };
const PART = 'stage-part-process';

describe.skipIf(process.platform !== 'linux')('a model cut over two trainers (skipped elsewhere than on Linux)', () => {
  let shop: Installation;
  let api: string;
  let item: { id: string; image: string };

  const partProcesses = (): number[] =>
    (readRunState({ dataDir: shop.dataDir })?.processes ?? [])
      .filter(({ name, process: own }) => name.startsWith('trainer-') && own !== null)
      .flatMap(({ process: own }) => childrenOf(own!.pid, PART));

  beforeAll(async () => {
    shop = createInstallation();
    const { urls } = await shop.json<{ urls: { api: string } }>('up', '--detach', '--trainers', '2');
    api = urls.api;
    const files = writeDemoFiles(join(shop.dataDir, 'files'), 60);
    item = JSON.parse(readFileSync(files.items.path, 'utf8').split('\n')[0]!) as typeof item;
    await shop.json('catalogue', 'import', files.items.path, ...IN);
    await shop.json('catalogue', 'import', files.train.path, ...IN, '--as', 'train');
    await shop.json('catalogue', 'import', files.holdout.path, ...IN, '--as', 'holdout');
  });
  afterAll(() => shop?.dispose());

  test('is trained, shown part by part, mended when a part is killed, and serves', async () => {
    const ending = shop.json<RetrainOutput>(
      ...['retrain', ...IN, '--recipe', 'fast', '--force', '--wait', '--set', 'index.kind=exact'],
      ...CUT,
    );
    ending.catch(() => undefined);

    const shown = async (): Promise<TrainingPart[]> => {
      const { training } = await shop.json<{ training: LiveTraining | null }>(
        'workflows',
        'show',
        'retrain/shop/train',
      );
      return training?.parts ?? [];
    };
    const untilAllStep = (from: number): Promise<TrainingPart[]> =>
      expect
        .poll(async () => {
          const parts = await shown().catch(() => []);
          return parts.length === 3 && parts.every(({ step }) => (step ?? 0) > from) ? parts : null;
        }, SOON)
        .not.toBeNull()
        .then(shown);
    const parts = await untilAllStep(0);
    expect(parts.map(({ role, index }) => `${role} ${index}`)).toEqual(['stage 0', 'stage 1', 'stage 2']);
    expect(parts.map(({ holds }) => holds)).toEqual([
      'hidden1, relu1, projection, embedding',
      expect.stringMatching(/^labels 0 to \d+$/),
      expect.stringMatching(/^labels \d+ to \d+$/),
    ]);
    const { training } = (await (await fetch(`${api}/v1/catalogues/shop/retrain`)).json()) as {
      training: LiveTraining;
    };
    expect(training.parts).toHaveLength(3);

    const victim = identify(partProcesses()[0]!);
    expect(victim !== undefined && signalProcess(victim, 'SIGKILL')).toBe(true);
    await expect.poll(async () => (await shown()).some(({ attempt }) => attempt > 1), SOON).toBe(true);

    const output = await ending;
    expect(output.outcome).toBe('serving');
    expect(output.untrained).toBeUndefined();
    expect(output.quality.candidate.recall['1']).toBeGreaterThan(0);
    const { hits } = await shop.json<{ hits: unknown[] }>('search', ...IN, '--image', item.image, '--k', '3');
    expect(hits[0]).toMatchObject({ id: item.id });
    await expect.poll(partProcesses, SOON).toEqual([]);
  });
});
