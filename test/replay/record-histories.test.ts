import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ApplicationFailure } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { TASK_QUEUES } from '../../contracts/queues.ts';
import { WORKFLOWS, workflowIds } from '../../contracts/workflows.ts';
import type { CheckRetrainInput, RetrainRule } from '../../contracts/schedules.ts';
import type { SimilarItemsInput } from '../../contracts/similar.ts';
import type { TuneConfig, TuneInput } from '../../contracts/tuning.ts';
import type { EmbedCatalogueInput, TrainInput } from '../../contracts/workflows.ts';
import { FINETUNE_DEFAULTS } from '../../infra/recipes/finetune-defaults.ts';
import { DATA_PARALLEL_DEFAULTS, MODEL_PARALLEL_DEFAULTS } from '../../infra/recipes/kind-defaults.ts';
import { SimilarConfigSchema } from '../../infra/similar/similar-config.ts';
import { cancelRetrain, retrainResult, startRetrain } from '../../infra/temporal/retrain-client.ts';
import { requestSwitch } from '../../infra/temporal/serve-client.ts';
import { MAX_TRIAL_ATTEMPTS } from '../../workflows/activity-options.ts';
import { FakeWorld, retrainConfig, target } from '../support/fake-activities.ts';
import type { ActivityName } from '../support/fake-activities.ts';
import { openTemporalEnv } from '../support/temporal-env.ts';
import type { TemporalEnv } from '../support/temporal-env.ts';
import { startFakeHost, startFakeWorkers } from '../support/workers.ts';

/**
 * Renews the stored histories: RECORD_HISTORIES=1 npx vitest run --project workflow test/replay/record-histories.test.ts
 * Only after a deliberate, incompatible change of a workflow: old histories are what running installations hold.
 */
describe.runIf(process.env.RECORD_HISTORIES === '1')('recorded histories', () => {
  const folder = join(import.meta.dirname, 'histories');
  const catalogue = 'shop';
  let env: TemporalEnv;
  let world: FakeWorld;
  const soon = { timeout: 30_000, interval: 50 };

  beforeAll(async () => {
    env = await openTemporalEnv('record');
    await mkdir(folder, { recursive: true });
  });
  beforeEach(() => {
    world = new FakeWorld();
  });
  afterAll(() => env?.close());

  async function keep(name: string, workflowId: string, runId?: string): Promise<void> {
    const history = await env.client.workflow.getHandle(workflowId, runId).fetchHistory();
    // Who ran it is nobody's business and would make every recording differ.
    const anonymous = historyToJSON(history)
      .replace(/"identity": "[^"]*"/g, '"identity": "worker"')
      .replace(/"name": "\d+@[^"]*"/g, '"name": "sticky"')
      .replace(/"stackTrace": "(?:[^"\\]|\\.)*"/g, '"stackTrace": ""');
    const record = { workflowId, history: JSON.parse(anonymous) as unknown };
    await writeFile(join(folder, `${name}.json`), `${JSON.stringify(record, null, 2)}\n`);
  }

  async function retrain(): Promise<{ workflowId: string; runId: string }> {
    return startRetrain(env.client, { catalogue, config: retrainConfig, force: false });
  }

  it('of retraining and its children', async () => {
    const workers = await startFakeWorkers(env, world);
    const first = await retrain();
    await retrainResult(env.client, first.workflowId, first.runId);
    await keep('retrain-serving', first.workflowId, first.runId);
    for (const step of ['features', 'train', 'embed', 'index']) {
      await keep(`${step}-child`, workflowIds.step(first.workflowId, step));
    }
    const again = await retrain();
    await retrainResult(env.client, again.workflowId, again.runId);
    await keep('retrain-reused', again.workflowId, again.runId);

    world.snapshot = 'snapshot-2';
    world.recall['model-trained-snapshot-2-1'] = 0.1;
    const rejected = await retrain();
    await retrainResult(env.client, rejected.workflowId, rejected.runId);
    await keep('retrain-rejected', rejected.workflowId, rejected.runId);

    world.snapshot = 'snapshot-3';
    world.failing.set('publishIndex', ApplicationFailure.nonRetryable('Expected recall 0.9, got 0.5.', 'gateRejected'));
    const failed = await retrain();
    await retrainResult(env.client, failed.workflowId, failed.runId).catch(() => undefined);
    await keep('retrain-failed', failed.workflowId, failed.runId);

    world.snapshot = 'snapshot-4';
    const step: ActivityName = 'embedChunk';
    world.stuck.add(step);
    const before = world.count(step);
    const cancelled = await retrain();
    await vi.waitFor(() => expect(world.count(step)).toBeGreaterThan(before), soon);
    await cancelRetrain(env.client, cancelled.workflowId);
    await retrainResult(env.client, cancelled.workflowId, cancelled.runId).catch(() => undefined);
    await keep('retrain-cancelled', cancelled.workflowId, cancelled.runId);
    await keep('features-child-cancelled', workflowIds.step(cancelled.workflowId, 'features'));
    await workers.stop();
  });

  it('of fine-tuning, and of a comparison with a model over another backbone', async () => {
    const workers = await startFakeWorkers(env, world);
    const first = await retrain();
    await retrainResult(env.client, first.workflowId, first.runId);
    world.snapshot = 'snapshot-2';
    const config = { ...retrainConfig, finetune: FINETUNE_DEFAULTS };
    const second = await startRetrain(env.client, { catalogue, config, force: false });
    await retrainResult(env.client, second.workflowId, second.runId);
    await keep('retrain-finetuned', second.workflowId, second.runId);
    await keep('finetune-child', workflowIds.step(second.workflowId, 'finetune'));
    await workers.stop();
  });

  it('of an embedding that continued as new', async () => {
    world.numChunks = 12;
    const workers = await startFakeWorkers(env, world);
    const input: EmbedCatalogueInput = {
      catalogue,
      snapshot: 'snapshot-1',
      model: 'model-backbone',
      views: 1,
      chunksPerRun: 8,
    };
    const handle = await env.client.workflow.start(WORKFLOWS.embedCatalogue, {
      taskQueue: TASK_QUEUES.orchestrator,
      workflowId: 'embed',
      args: [input],
    });
    await handle.result();
    await keep('embed-continued', 'embed', handle.firstExecutionRunId);
    await keep('embed-last-run', 'embed');
    await workers.stop();
  });

  it('of what schedules find', async () => {
    const workers = await startFakeWorkers(env, world);
    world.schedules.startRetrain = async () => ({
      workflowId: workflowIds.retrain(catalogue),
      runId: 'run',
      started: true,
    });
    const rules: RetrainRule[] = [
      { trigger: 'cron', cron: '0 3 * * *' },
      { trigger: 'changes', numChanges: 3, checkEveryMs: 600_000 },
      { trigger: 'drift', maxDrop: 0.1, checkEveryMs: 600_000 },
    ];
    Object.assign(world.schedules.drift, { recent: 0.6 });
    Object.assign(world.schedules.changes, { added: 2 });
    for (const rule of rules) {
      const schedule = workflowIds.schedule(catalogue, rule.trigger);
      const input: CheckRetrainInput = { catalogue, rule, config: retrainConfig, schedule };
      const handle = await env.client.workflow.start(WORKFLOWS.checkRetrain, {
        taskQueue: TASK_QUEUES.orchestrator,
        workflowId: workflowIds.checkRetrain(catalogue, rule.trigger),
        args: [input],
      });
      await handle.result();
      await keep(`check-${rule.trigger}`, handle.workflowId);
    }
    await workers.stop();
  });

  it('of neighbours found in advance, continued as new', async () => {
    world.generations.push({ number: 1, status: 'serving', snapshot: 's', config: '', runId: 'r', index: 'index-1' });
    world.numChunks = 6;
    const workers = await startFakeWorkers(env, world);
    const input: SimilarItemsInput = { catalogue, config: SimilarConfigSchema.parse({}), chunksPerRun: 4 };
    const handle = await env.client.workflow.start(WORKFLOWS.similarItems, {
      taskQueue: TASK_QUEUES.orchestrator,
      workflowId: workflowIds.similar(catalogue),
      args: [input],
    });
    await handle.result();
    await keep('similar-continued', workflowIds.similar(catalogue), handle.firstExecutionRunId);
    await keep('similar-last-run', workflowIds.similar(catalogue));
    await workers.stop();
  });

  it('of a search for hyper-parameters', async () => {
    const workers = await startFakeWorkers(env, world);
    const config: TuneConfig = {
      base: { ...retrainConfig, train: { ...retrainConfig.train, epochs: 9 } },
      space: { 'train.dim': { kind: 'choice', values: [0, 1, 2, 3, 4] } },
      search: { kind: 'tpe', startup: 2, candidates: 8, gamma: 0.25 },
      scheduler: { kind: 'asha', minEpochs: 1, eta: 3 },
      ...{ numTrials: 5, concurrency: 2, retries: 1, seed: 1 },
    };
    const lost = ApplicationFailure.create({
      message: 'Killed.',
      type: 'unavailable',
      nextRetryDelay: '1 millisecond',
    });
    world.trials.fates.set(3, Array<ApplicationFailure>(MAX_TRIAL_ATTEMPTS).fill(lost));
    const tune = (input: Partial<TuneInput> = {}) =>
      env.client.workflow.start(WORKFLOWS.tune, {
        taskQueue: TASK_QUEUES.orchestrator,
        workflowId: workflowIds.tune(catalogue),
        args: [{ catalogue, config, lookEveryMs: 1000, ...input }],
      });
    const whole = await tune({ rungsPerRun: 4 });
    await whole.result();
    await keep('tune-continued', whole.workflowId, whole.firstExecutionRunId);
    await keep('tune-last-run', whole.workflowId);
    await keep('trial-child', workflowIds.trial(catalogue, 4));

    const held = { ...config, base: { ...config.base, train: { ...config.base.train, epochs: 27 } } };
    world.trials.isHeld = ({ train, untilEpoch }) => train.config.epochs === 27 && untilEpoch > 1;
    const cancelled = await tune({ config: held });
    await vi.waitFor(() => expect(world.trials.running).toBe(1), soon);
    await cancelled.cancel();
    await cancelled.result();
    await keep('tune-cancelled', cancelled.workflowId, cancelled.firstExecutionRunId);
    await workers.stop();
  });

  it('of trainings spread over processes', async () => {
    const workers = await startFakeWorkers(env, world);
    const dataParallel = DATA_PARALLEL_DEFAULTS;
    const input: TrainInput = {
      ...{ catalogue, snapshot: 'snapshot-1', features: 'embeddings-1', backbone: 'model-backbone' },
      config: { ...retrainConfig.train, strategy: 'dataParallel', dataParallel },
    };
    const train = (workflowId: string) =>
      env.client.workflow.start(WORKFLOWS.train, {
        taskQueue: TASK_QUEUES.orchestrator,
        workflowId,
        args: [input],
      });
    const killed = (): ApplicationFailure => ApplicationFailure.retryable('The process was killed.', 'unavailable');
    const { gang } = world;
    gang.twoStages = true;
    for (const part of ['replica-0', 'replica-1', 'parameters-1']) gang.fates.set(part, [killed()]);
    await (await train('train-spread')).result();
    await keep('train-spread', 'train-spread');

    gang.fates.set('replica-1', [ApplicationFailure.nonRetryable('Expected a finite loss, got NaN.', 'nonFinite')]);
    const failed = await train('train-spread-failed');
    await failed.result().catch(() => undefined);
    await keep('train-spread-failed', 'train-spread-failed');

    gang.held = true;
    const cancelled = await train('train-spread-cancelled');
    const run = `${cancelled.firstExecutionRunId}/judged`;
    await vi.waitFor(() => expect(gang.alive.get(run)?.size).toBe(4), soon);
    await cancelled.cancel();
    await cancelled.result().catch(() => undefined);
    await keep('train-spread-cancelled', 'train-spread-cancelled');
    await workers.stop();
  });

  it('of a model cut over processes', async () => {
    const workers = await startFakeWorkers(env, world);
    const modelParallel = { ...MODEL_PARALLEL_DEFAULTS, classifierParts: 2 };
    const input: TrainInput = {
      ...{ catalogue, snapshot: 'snapshot-1', features: 'embeddings-1', backbone: 'model-backbone' },
      config: { ...retrainConfig.train, strategy: 'modelParallel', modelParallel },
    };
    const killed = (): ApplicationFailure => ApplicationFailure.retryable('The process was killed.', 'unavailable');
    const { gang } = world;
    gang.twoStages = true;
    for (const part of ['stage-0', 'stage-2']) gang.fates.set(part, [killed()]);
    const workflowId = 'train-cut';
    const options = { taskQueue: TASK_QUEUES.orchestrator, workflowId, args: [input] as const };
    await (await env.client.workflow.start(WORKFLOWS.train, options)).result();
    await keep('train-cut', workflowId);
    await workers.stop();
  });

  it('of serving', async () => {
    for (const number of [1, 2, 3]) {
      world.generations.push({ number, status: 'building', snapshot: 's', config: '', runId: `${number}` });
    }
    const workers = [
      await startFakeWorkers(env, world),
      await startFakeHost(env, world, 'a'),
      await startFakeHost(env, world, 'b'),
    ];
    const switchTo = (to: ReturnType<typeof target>) => requestSwitch(env.client, catalogue, to, null, 'record');
    await switchTo(target(1));
    await switchTo(target(2));
    world.mute.add(3);
    await switchTo(target(3, { startupTimeoutMs: 1000 })).catch(() => undefined);
    const lost = world.endpoints.find(({ generation }) => generation === 2)!;
    const placements = world.count('serveShard');
    world.dead.add(lost.host);
    await vi.waitFor(() => expect(world.count('serveShard')).toBeGreaterThan(placements), soon);
    const supervisor = env.client.workflow.getHandle(workflowIds.serve(catalogue));
    await keep('serve-running', supervisor.workflowId);
    await supervisor.cancel();
    await supervisor.result().catch(() => undefined);
    await keep('serve-cancelled', supervisor.workflowId);
    const keeper = workflowIds.replica(catalogue, 2, lost.shard, lost.replica);
    await env.client.workflow
      .getHandle(keeper)
      .result()
      .catch(() => undefined);
    await keep('replica-lost-and-cancelled', keeper);
    world.closed = true;
    await Promise.all(workers.map((worker) => worker.stop()));
  });
});
