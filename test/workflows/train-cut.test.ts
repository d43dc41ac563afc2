import { CancelledFailure, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { WORKFLOWS } from '../../contracts/workflows.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import { MODEL_PARALLEL_DEFAULTS } from '../../infra/recipes/kind-defaults.ts';
import { liveTraining } from '../../infra/temporal/live-training.ts';
import { FakeWorld, retrainConfig } from '../support/fake-activities.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { RunningWorker, TemporalEnv } from '../support/temporal-env.ts';
import { startFakeWorkers } from '../support/workers.ts';

let env: TemporalEnv;
let world: FakeWorld;
let workers: RunningWorker;
let workflowId: string;
let counter = 0;

const SOON = { timeout: 20_000, interval: 20 };
/** Two stages, the second of which shares its classifier with one more process. */
const INPUT: TrainInput = {
  ...{ catalogue: 'shop', snapshot: 'snapshot-1', features: 'embeddings-1', backbone: 'model-backbone' },
  config: {
    ...retrainConfig.train,
    ...{ strategy: 'modelParallel', modelParallel: { ...MODEL_PARALLEL_DEFAULTS, classifierParts: 2 } },
  },
};
const lost = (): ApplicationFailure =>
  ApplicationFailure.create({
    message: 'The process was killed.',
    type: 'unavailable',
    nextRetryDelay: '1 millisecond',
  });

beforeAll(async () => {
  env = await openTemporalEnv('train-cut');
});
beforeEach(async () => {
  world = new FakeWorld();
  workflowId = `retrain/cut-${(counter += 1)}/train`;
  workers = await startFakeWorkers(env, world);
});
afterEach(() => workers.stop());
afterAll(() => env?.close());

async function train() {
  const handle = await env.client.workflow.start(WORKFLOWS.train, {
    taskQueue: TASK_QUEUES.orchestrator,
    workflowId,
    args: [INPUT],
  });
  return {
    handle,
    run: `${handle.firstExecutionRunId}/judged`,
    result: () => handle.result() as Promise<TrainOutput>,
    failure: async () => {
      const error: unknown = await handle.result().catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(WorkflowFailedError);
      return (error as WorkflowFailedError).cause!;
    },
  };
}

describe('a model cut over processes', () => {
  it('is one activity per stage and further part of the classifier, ends with the lead, and leaves nothing running', async () => {
    world.gang.twoStages = true;
    const run = await train();
    expect(await run.result()).toMatchObject({ model: 'model-trained-snapshot-1-1' });
    const runs = [run.run, run.run.replace(/judged$/, 'all')];
    expect(world.gang.starts.toSorted()).toEqual(
      runs.flatMap((each) => ['stage-0', 'stage-1', 'stage-2'].map((part) => `${each}/${part}`)).toSorted(),
    );
    expect(world.gang.numAlive()).toBe(0);
    expect(world.gang.forgotten).toEqual(runs);
  });

  it.each([
    ['a stage, twice', 'stage-1', [lost(), lost()]],
    ['the lead', 'stage-0', [lost()]],
    ['a part of the classifier that falls silent', 'stage-2', ['silent' as const]],
  ])('goes on after the loss of %s', async (_, part, fates) => {
    world.gang.fates.set(part, [...fates]);
    const run = await train();
    await run.result();
    expect(world.gang.startsOf(part)).toBe(fates.length + 1);
    expect(world.gang.starts).toHaveLength(3 + fates.length);
    expect(world.gang.steps.get(run.run)).toBe(world.gang.numSteps);
  });

  it('fails at once, with the reason, when a part meets what trying again cannot help', async () => {
    world.gang.held = true;
    const reason = 'Expected this part of the model to fit into train.modelParallel.maxBytesPerStage.';
    world.gang.fates.set('stage-2', [ApplicationFailure.nonRetryable(reason, 'invalidInput')]);
    const run = await train();
    expect((await run.failure()).cause).toMatchObject({ type: 'invalidInput', message: reason });
    expect(world.gang.numAlive()).toBe(0);
    expect(world.gang.forgotten).toEqual([run.run]);
  });

  it('is given up in words once a part was lost too often', async () => {
    world.gang.held = true;
    world.gang.fates.set('stage-2', Array.from({ length: 50 }, lost));
    expect(await (await train()).failure()).toMatchObject({
      type: 'unavailable',
      message: 'Classifier part 1 of 2 was started 50 times and lost each time; at last: The process was killed.',
    });
    expect(world.gang.numAlive()).toBe(0);
  });

  it('says what each part holds and where it is, and stops all of them on a cancel', async () => {
    world.gang.held = true;
    const run = await train();
    await vi.waitFor(async () => {
      const { currentDetails: told } = await run.handle.query<{ currentDetails: string }>(
        '__temporal_workflow_metadata',
      );
      expect(told).toContain(
        '2 stages, cut by cost; the classifier over 2 processes; 4 micro-batches a step, all forward',
      );
      expect(told).toContain('| stage 0, leads | `trainer-1` |');
      expect(told).toContain('| classifier part 1 | `trainer-1` |');
    }, SOON);
    const live = await vi.waitFor(async () => {
      const seen = await liveTraining(env.client, workflowId);
      expect(seen?.parts?.map(({ step }) => step)).toEqual([4, 4, 4]);
      return seen!;
    }, SOON);
    expect(live).toMatchObject({ step: 4, numSteps: 5, loss: 0.2, backend: 'fake' });
    for (const key of ['host', 'index', 'holds', 'bytesPerStep']) expect(live).not.toHaveProperty(key);
    expect(live.parts).toMatchObject([
      { role: 'stage', index: 0, host: 'trainer-1', holds: 'layers', loss: 0.2, bytesPerStep: 80, note: null },
      { role: 'stage', index: 1, holds: 'layers' },
      { role: 'stage', index: 2, holds: 'labels', attempt: 1 },
    ]);
    await run.handle.cancel();
    expect(await run.failure()).toBeInstanceOf(CancelledFailure);
    expect(world.gang.numAlive()).toBe(0);
    expect(world.gang.forgotten).toEqual([run.run]);
  });
});
