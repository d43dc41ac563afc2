import { describe, expect, it, onTestFinished } from 'vitest';
import type { TrainConfig, TrainProgress } from '../../../contracts/training.ts';
import type { RungInput, RungOutput } from '../../../contracts/tuning.ts';
import { runRung } from '../../../infra/training/run-rung.ts';
import { runTraining } from '../../../infra/training/run-training.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { TRAIN, openWorkshop, trainersOf } from './workshop.ts';
import type { Workshop } from './workshop.ts';

const NINE: TrainConfig = { ...TRAIN, epochs: 9 };

async function open(train: TrainConfig = NINE): Promise<Workshop> {
  const workshop = await openWorkshop(temporaryFolder(), train, 'cpu');
  onTestFinished(() => workshop.stores.close());
  return workshop;
}

/** One rung; also the first and the last step that its process took, and how many an epoch has. */
async function rung(
  { config, input }: Workshop,
  untilEpoch: number,
  { train = input.config, origin }: { train?: TrainConfig; origin?: string } = {},
): Promise<RungOutput & { steps: number[]; perEpoch: number }> {
  const frames: TrainProgress[] = [];
  const job: RungInput = { train: { ...input, config: train }, untilEpoch, ...(origin !== undefined && { origin }) };
  const output = await runRung({ config, input: job, onProgress: (progress) => frames.push(progress) });
  const [first, last] = [frames[0], frames.at(-1)];
  if (first === undefined || last === undefined) return { ...output, steps: [], perEpoch: NaN };
  return { ...output, steps: [first.step, last.step], perEpoch: last.numSteps / train.epochs };
}

describe('rungs of a trial, each in a process of its own', () => {
  it('of 1, 3 and 9 epochs train each step once and end in the model of an uninterrupted training', async () => {
    const workshop = await open();
    const first = await rung(workshop, 1);
    expect(first).toMatchObject({ model: null, recall: null, reused: false });
    const { perEpoch } = first;
    expect(first.steps).toEqual([1, perEpoch]);
    const second = await rung(workshop, 3);
    expect(second.steps).toEqual([perEpoch + 1, 3 * perEpoch]);
    expect(second.checkpoint).not.toBe(first.checkpoint);
    const third = await rung(workshop, 9);
    expect(third.steps).toEqual([3 * perEpoch + 1, 9 * perEpoch]);
    expect(third).toMatchObject({ checkpoint: null, reused: false });

    const other = await open();
    const whole = await runTraining({ config: other.config, input: other.input });
    // An artefact is named by its bytes.
    expect(third.model).toBe(whole.model);
    expect(third.recall).toBe(whole.metrics['validationRecallAt1']);
  });

  it('report the best so far, whatever was found already made', async () => {
    const workshop = await open();
    const outputs = [await rung(workshop, 1), await rung(workshop, 3), await rung(workshop, 9)];
    const manifest = (await workshop.stores.artifacts.get(outputs[2]!.model!)).manifest;
    const recalls = manifest.metrics['recallByEpoch'] as number[];
    outputs.forEach(({ reports }, i) => {
      const epoch = [1, 3, 9][i]!;
      expect(reports.at(-1)).toEqual({ epoch, value: Math.max(...recalls.slice(0, epoch)) });
    });
    // The model is there now: a rung tells of it what it would have shown, and trains nothing.
    for (const [i, epoch] of [1, 3, 9].entries()) {
      const again = await rung(workshop, epoch);
      expect(again).toMatchObject({
        reused: true,
        steps: [],
        reports: outputs[i]!.reports,
        recall: outputs[i]!.recall,
      });
    }
  });

  it('are not trained again where a checkpoint lies as far', async () => {
    const workshop = await open();
    const first = await rung(workshop, 3);
    expect(await rung(workshop, 3)).toMatchObject({ reused: true, steps: [], checkpoint: first.checkpoint });
  });

  it('go on after a kill -9 from the last checkpoint, to the same model', async () => {
    const train = { ...NINE, epochs: 60, checkpointEverySteps: 5 };
    const workshop = await open(train);
    await rung(workshop, 1);
    const seen = new Set<string>();
    let last: TrainProgress | undefined;
    const killed = runRung({
      config: workshop.config,
      input: { train: workshop.input, untilEpoch: 60 },
      onProgress: (progress) => {
        last = progress;
        if (progress.checkpoint !== null) seen.add(progress.checkpoint);
        // The first is where it began.
        const [trainer] = seen.size === 3 ? trainersOf(process.pid, 'train-rung-process') : [];
        if (trainer !== undefined) process.kill(trainer, 'SIGKILL');
      },
    });
    await expect(killed).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(last!.step).toBeLessThan(last!.numSteps);
    const { model, steps } = await rung(workshop, 60);
    expect(steps[0]).toBeGreaterThan(10);
    const other = await open(train);
    expect(model).toBe((await runTraining({ config: other.config, input: other.input })).model);
  });

  it('of another configuration go on from the checkpoint of a population, and name it', async () => {
    const workshop = await open();
    const copied = await rung(workshop, 3);
    const train = { ...NINE, optimizer: { ...NINE.optimizer, learningRate: 0.02 }, featureDropout: 0.1 };
    const origin = copied.checkpoint!;
    const { perEpoch, ...next } = await rung(workshop, 6, { train, origin });
    expect(next.steps).toEqual([3 * perEpoch + 1, 6 * perEpoch]);
    const end = await rung(workshop, 9, { train, origin });
    expect(end.steps[0]).toBe(6 * perEpoch + 1);
    const { manifest } = await workshop.stores.artifacts.get(end.model!);
    expect(manifest.inputs['origin']).toBe(origin);
    // What it took over stays in its curve.
    const recalls = manifest.metrics['recallByEpoch'] as number[];
    expect(Math.max(...recalls.slice(0, 3))).toBe(copied.reports.at(-1)!.value);
    // Its result is not that of the same values from nothing, and is the same when made again.
    expect((await rung(workshop, 9, { train })).model).not.toBe(end.model);
    const other = await open();
    expect((await rung(other, 3)).checkpoint).toBe(origin);
    expect((await rung(other, 9, { train, origin })).model).toBe(end.model);
  });
});
