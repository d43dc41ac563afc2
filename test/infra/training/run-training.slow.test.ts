import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { TrainConfig, TrainProgress } from '../../../contracts/training.ts';
import { CODE_VERSION } from '../../../infra/artifacts/code-version.ts';
import { derivationKey } from '../../../infra/artifacts/keys.ts';
import { hasTfjsNode } from '../../../infra/compute/tfjs-node-package.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import { modelSummaryOf } from '../../../infra/models/model-summary.ts';
import { runTraining } from '../../../infra/training/run-training.ts';
import { trainingDerivation } from '../../../infra/training/prepare-stage.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { TRAIN, isAlive, openWorkshop, trainersOf } from './workshop.ts';
import type { Workshop } from './workshop.ts';

/** Long enough to be met in the middle. */
const LONG: TrainConfig = { ...TRAIN, epochs: 100, checkpointEverySteps: 10 };

async function open(train: TrainConfig, backend = 'cpu', holdout = true): Promise<Workshop> {
  const workshop = await openWorkshop(temporaryFolder(), train, backend, holdout);
  onTestFinished(() => workshop.stores.close());
  return workshop;
}

/** Runs until two checkpoints are durable (of the second model, where a run makes two), then does `what` to the process; gives the error that the run ends in. */
async function interrupted(
  { config, input }: Workshop,
  what: (trainer: number, controller: AbortController) => void,
  model: 1 | 2 = 1,
): Promise<unknown> {
  const controller = new AbortController();
  const seen = new Set<string>();
  let last: TrainProgress | undefined;
  let trainers: number[] | undefined;
  let done = false;
  let made: 1 | 2 = 1;
  const error = await runTraining({
    config,
    input,
    signal: controller.signal,
    onProgress: (progress) => {
      if (last !== undefined && progress.step < last.step) {
        made = 2;
        seen.clear();
      }
      last = progress;
      trainers ??= trainersOf(process.pid);
      if (progress.checkpoint !== null) seen.add(progress.checkpoint);
      if (done || made < model || seen.size < 2) return;
      done = true;
      expect(trainers).toHaveLength(1);
      what(trainers[0]!, controller);
    },
  }).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(last!.step).toBeLessThan(last!.numSteps);
  return error;
}

/** Runs to the end, from the start or from where an earlier run was; gives the model and the first step that this process took. */
async function finished({ config, input }: Workshop): Promise<{ model: string; firstStep: number }> {
  let firstStep = 0;
  const { model } = await runTraining({ config, input, onProgress: ({ step }) => (firstStep ||= step) });
  return { model, firstStep };
}

function checkpoints({ stores, input }: Workshop): Promise<{ step: number; artifact: string }[]> {
  return stores.registry.checkpoints.latest(derivationKey(trainingDerivation(input), CODE_VERSION));
}

describe('a training run in its own process', () => {
  it('publishes a model that names what it was made from, tells its progress, and is found the second time', async () => {
    const workshop = await open({ ...TRAIN, checkpointEverySteps: 2 });
    const { config, input, stores } = workshop;
    const frames: TrainProgress[] = [];
    const first = await runTraining({ config, input, onProgress: (progress) => frames.push(progress) });
    expect(first).toMatchObject({ reused: false, metrics: { numLabels: 12, numPictures: 12, numQueries: 12 } });
    const model = await stores.artifacts.get(first.model);
    const { snapshot, features, backbone } = input;
    expect(model.manifest.inputs).toEqual({ snapshot, features, backbone });
    expect(modelSummaryOf(model)).toMatchObject({ stage: 'embedding', dim: TRAIN.dim, backbone });
    const last = frames.at(-1)!;
    expect(last).toMatchObject({ step: last.numSteps, backend: 'cpu' });
    expect(last.recallByEpoch).toHaveLength(TRAIN.epochs);
    expect(first.metrics.validationRecallAt1).toBe(last.recallByEpoch.at(-1));
    expect(last.checkpoint).not.toBeNull();
    expect(await checkpoints(workshop)).toEqual([]);

    const second = await runTraining({ config, input, onProgress: () => expect.unreachable('nothing to train') });
    expect(second).toMatchObject({ model: first.model, reused: true, metrics: first.metrics });
    expect(trainersOf(process.pid)).toEqual([]);
  });

  it('hands on of which kind a fault is', async () => {
    const { config, input } = await open(TRAIN);
    const absent = { ...input, features: `embeddings-${'0'.repeat(32)}` };
    await expect(runTraining({ config, input: absent })).rejects.toMatchObject({ code: 'notFound' });
    await expect(runTraining({ config, input, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'cancelled',
    });
  });
});

const hasNode = hasTfjsNode(loadConfig(), 'cpu');
describe.each(['cpu', 'node'])(
  'a killed run on backend %s (node is skipped where it is not provisioned)',
  (backend) => {
    it.skipIf(backend === 'node' && !hasNode)(
      'can be tried again, goes on from its checkpoint and ends in the model of an uninterrupted one',
      async () => {
        const workshop = await open(LONG, backend);
        const error = await interrupted(workshop, (trainer) => process.kill(trainer, 'SIGKILL'));
        expect(error).toMatchObject({ code: 'unavailable', retryable: true });
        const [newest] = await checkpoints(workshop);
        const { model, firstStep } = await finished(workshop);
        expect(firstStep).toBe(newest!.step + 1);
        const other = await open(LONG, backend);
        expect(model).toBe((await finished(other)).model);
      },
    );
  },
);

describe('a run that has to withhold items to judge by', () => {
  it('ends in a model of all items that names the judged one, wherever it was killed', async () => {
    const workshop = await open(LONG, 'cpu', false);
    const error = await interrupted(workshop, (trainer) => process.kill(trainer, 'SIGKILL'), 2);
    expect(error).toMatchObject({ code: 'unavailable' });
    const { model, firstStep } = await finished(workshop);
    expect(firstStep).toBeGreaterThan(LONG.checkpointEverySteps);

    const { artifacts } = workshop.stores;
    const { inputs, metrics } = (await artifacts.get(model)).manifest;
    const judged = (await artifacts.get(inputs['judged']!)).manifest;
    expect(metrics['numPictures']).toBe(24);
    expect(judged.metrics['numPictures']).toBe(24 - (judged.metrics['numQueries'] as number));
    expect(judged.inputs).not.toHaveProperty('judged');

    const { config, input } = await open(LONG, 'cpu', false);
    const other = await runTraining({ config, input });
    expect(other).toMatchObject({ model, reused: false });
    expect(await runTraining({ config, input })).toEqual({ ...other, reused: true });
  });
});

describe('an aborted run', () => {
  it('leaves no process, and goes on from the checkpoint before when the newest is damaged', async () => {
    const workshop = await open(LONG);
    const error = await interrupted(workshop, (_, controller) => controller.abort());
    expect(error).toMatchObject({ code: 'cancelled' });
    expect(trainersOf(process.pid)).toEqual([]);

    const [newest, before] = await checkpoints(workshop);
    const path = await workshop.stores.artifacts.materialise(newest!.artifact, 'state.f32');
    const bytes = readFileSync(path);
    bytes[0]! ^= 1;
    writeFileSync(path, bytes);
    const { model, firstStep } = await finished(workshop);
    expect(firstStep).toBe(before!.step + 1);
    const other = await open(LONG);
    expect(model).toBe((await finished(other)).model);
  });

  it('is killed when it does not hear', async () => {
    const workshop = await open(LONG);
    const stopped: number[] = [];
    const error = await interrupted(workshop, (trainer, controller) => {
      stopped.push(trainer);
      process.kill(trainer, 'SIGSTOP');
      controller.abort();
    });
    expect(error).toMatchObject({ code: 'cancelled' });
    expect(stopped.map(isAlive)).toEqual([false]);
  });
});

it('a training process ends with the process that started it', async () => {
  const { config, input } = await open({ ...LONG, epochs: 100_000 });
  const job = join(temporaryFolder(), 'job.json');
  writeFileSync(job, JSON.stringify({ config, input }));
  const entry = fileURLToPath(new URL('./parent.ts', import.meta.url));
  const parent = spawn(process.execPath, [entry, job], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void parent.kill('SIGKILL'));
  await once(parent.stdout, 'data');
  const trainers = trainersOf(parent.pid!);
  expect(trainers).toHaveLength(1);
  parent.kill('SIGKILL');
  await vi.waitFor(() => expect(trainers.filter(isAlive)).toEqual([]), { timeout: 20_000 });
});
