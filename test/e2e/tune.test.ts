import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TuneStatus } from '../../api/ports.ts';
import type { TuneOutput } from '../../contracts/tuning.ts';
import type { RetrainOutput } from '../../contracts/workflows.ts';
import { writeDemoFiles } from '../../infra/demo/emoji.ts';
import { signalProcess } from '../../infra/supervisor/process-identity.ts';
import { readRunState } from '../../infra/supervisor/run-state.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';
import { childrenOf } from './process-tree.ts';

const IN = ['--catalogue', 'shop'];
const SOON = { timeout: 120_000, interval: 100 };
const SPACE = `
space:
  train.optimizer.learningRate: { kind: float, low: 1e-4, high: 0.1, scale: log }
  train.loss.kind: { kind: choice, values: [proxySoftmax, supCon] }
  train.loss.temperature: { kind: float, low: 0.05, high: 0.5, scale: log, when: { train.loss.kind: [supCon] } }
numTrials: 6
scheduler: { kind: asha, minEpochs: 10 }
`;

let shop: Installation;
let api: string;
let space: string;

beforeAll(async () => {
  shop = createInstallation();
  const { urls } = await shop.json<{ urls: { api: string } }>('up', '--detach', '--trainers', '2');
  api = urls.api;
  const files = writeDemoFiles(join(shop.dataDir, 'files'), 40);
  await shop.json('catalogue', 'import', files.items.path, ...IN);
  await shop.json('catalogue', 'import', files.train.path, ...IN, '--as', 'train');
  await shop.json('catalogue', 'import', files.holdout.path, ...IN, '--as', 'holdout');
  space = join(shop.dataDir, 'space.yaml');
  writeFileSync(space, SPACE);
});
afterAll(() => shop?.dispose());

/** Before it has started there is none. */
async function search(): Promise<Partial<TuneStatus>> {
  const response = await fetch(`${api}/v1/catalogues/shop/tune`);
  return ((await response.json()) as { search: TuneStatus | null }).search ?? {};
}

/** The first trainer that trains a rung now. */
function busyTrainer() {
  const trainers = readRunState(shop)!.processes.filter(({ kind }) => kind === 'trainer');
  return trainers.find(({ process }) => process && childrenOf(process.pid, 'train-rung-process').length > 0)?.process;
}

describe('a search on two trainers', () => {
  test('goes on after a trainer is killed in the middle, and ends with what a retrain can take', async () => {
    const folder = join(shop.dataDir, 'drawings');
    const ending = shop.json<TuneOutput & { files: string[] }>(
      ...['tune', ...IN, '--space', space, '--recipe', 'fast', '--set', 'train.epochs=90'],
      ...['--wait', '--output', folder],
    );
    // Rungs that ended before the disaster, and one that runs.
    await expect
      .poll(async () => (await search()).view?.trials.filter(({ reports }) => reports.length > 0).length ?? 0, SOON)
      .toBeGreaterThan(0);
    await expect.poll(() => busyTrainer() !== undefined, SOON).toBe(true);
    const before = (await search()).view!.trials.filter(({ status }) => status === 'paused');
    signalProcess(busyTrainer()!, 'SIGKILL');
    const output = await ending;

    expect(output).toMatchObject({ outcome: 'finished', best: { epochs: 90 } });
    expect(output.trials).toHaveLength(6);
    expect(output.trials.filter(({ status }) => status === 'failed')).toEqual([]);
    const whole = output.trials.filter(({ status }) => status === 'done').map(({ value }) => value!);
    expect(output.best.value).toBe(Math.max(...whole));
    // What was finished before stands as it was.
    const { view, status } = await search();
    expect(status).toBe('completed');
    for (const trial of before) {
      expect(view!.trials[trial.id]!.reports.slice(0, trial.reports.length)).toEqual(trial.reports);
    }
    expect(readdirSync(folder).sort()).toEqual(
      ['curves.png', 'curves.svg', 'parallel-coordinates.png', 'parallel-coordinates.svg', 'tuning.json'].sort(),
    );
    expect(output.files.every((path) => existsSync(path))).toBe(true);

    const retrained = await shop.json<RetrainOutput>('retrain', ...IN, '--from-tune', '--force', '--wait');
    expect(retrained.model).toBe(output.best.model);
    expect(retrained.reused).toContain('train');
  });

  test('is cancelled from the command line, and keeps the best so far', async () => {
    const set = ['--set', 'train.epochs=3000', '--seed', '2'];
    await shop.json('tune', ...IN, '--space', space, '--recipe', 'fast', ...set);
    await expect
      .poll(async () => {
        const { status, view } = await search();
        return status === 'running' && view?.trials.some(({ reports }) => reports.length > 0);
      }, SOON)
      .toBe(true);
    await shop.json('workflows', 'cancel', 'tune/shop');
    await expect.poll(async () => (await search()).status, SOON).toBe('completed');
    const { output } = await search();
    expect(output).toMatchObject({ outcome: 'cancelled' });
    expect(output!.best.value).toBeGreaterThan(0);
  });
});
