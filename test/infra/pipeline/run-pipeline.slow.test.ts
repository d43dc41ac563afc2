import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { PipelineJob, StageConfig } from '../../../infra/pipeline/protocol.ts';
import { runPipeline } from '../../../infra/pipeline/run-pipeline.ts';
import { decayRangesOf } from '../../../lib/sync/layout.ts';
import { createOptimizer } from '../../../lib/sync/optimizer.ts';
import { layoutOf, wholeGradient } from '../../../lib/pipeline/model.ts';
import { freshState } from '../../../lib/pipeline/part-state.ts';
import { drawInputs, drawLabels, modelOf } from '../../../lib/pipeline/task.ts';

const CONFIG: StageConfig = {
  backend: 'cpu',
  cacheDir: '/nowhere',
  dataPlane: { token: 'a secret of this test' },
} as StageConfig;
const JOB: PipelineJob = {
  model: { kind: 'fullyConnected', inputDim: 20, width: 16, depth: 3, numLabels: 4 },
  firstLayers: ['hidden2', 'relu3'],
  pipeline: { schedule: 'oneForwardOneBackward', numStages: 3, numMicroBatches: 3 },
  optimizer: { kind: 'adam', momentum: 0.9, weightDecay: 0.01 },
  learningRate: 0.005,
  numRows: 10,
  numSteps: 25,
  seed: 6,
};
/** So long that it is still running when something is done to it. */
const ENDLESS: PipelineJob = { ...JOB, numSteps: 1_000_000 };

function trainWhole({ model: spec, optimizer, learningRate, numRows, numSteps, seed }: PipelineJob): number[] {
  const model = modelOf(spec);
  const state = freshState(model, optimizer.kind, seed);
  const layout = layoutOf(model);
  const update = createOptimizer(optimizer, decayRangesOf(layout, { start: 0, end: layout.length }), layout.length);
  return Array.from({ length: numSteps }, (_, step) => {
    const labels = drawLabels(seed, step, { numRows, numLabels: model.loss.inputShape[0]! });
    const inputs = drawInputs(seed, step, labels, model.inputShape);
    const { loss, gradient } = wholeGradient(tf, model, state.values, { inputs, labels });
    update(state, gradient, { learningRate, numUpdates: step });
    return loss;
  });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('runPipeline', () => {
  it('trains in processes what one process trains', async () => {
    const { losses, stages } = await runPipeline({ config: CONFIG, job: JOB, run: 'equal' });

    const expected = trainWhole(JOB);
    expect(losses).toHaveLength(JOB.numSteps);
    losses.forEach((loss, step) => expect(Math.abs(loss / expected[step]! - 1)).toBeLessThan(1e-5));
    expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
    // Ten rows of 16 numbers over each of two links, each micro-batch with a heading of 20 bytes.
    const bytes = JOB.numSteps * (10 * 16 * 4 + 3 * 20);
    for (const link of [stages[0]!.next, stages[1]!.previous, stages[1]!.next, stages[2]!.previous]) {
      expect(link).toMatchObject({ sentBytes: bytes, receivedBytes: bytes });
    }
  });

  it.each(['SIGKILL', 'SIGSTOP'] as const)('ends as a whole when one stage meets %s', async (signal) => {
    let pids: number[] = [];
    const run = runPipeline({
      config: CONFIG,
      job: ENDLESS,
      run: signal,
      onStart: (started) => (pids = started),
      onStep: (step) => step === 3 && process.kill(pids[1]!, signal),
    });
    await expect(run).rejects.toMatchObject({ code: 'unavailable' });
    expect(pids).toHaveLength(3);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('ends when it is called off', async () => {
    const abort = new AbortController();
    let pids: number[] = [];
    const run = runPipeline({
      config: CONFIG,
      job: ENDLESS,
      run: 'off',
      signal: abort.signal,
      onStart: (started) => (pids = started),
      onStep: () => abort.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('leaves no stage behind when the process that started it is killed', async () => {
    const parent = spawn(process.execPath, [fileURLToPath(new URL('./endless-run.ts', import.meta.url))], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    parent.kill('SIGKILL');
    const pids = line.toString().trim().split(' ').map(Number);
    expect(pids).toHaveLength(3);
    await expect.poll(() => pids.filter(isAlive), { timeout: 20_000 }).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('lets no stage allocate more than it may', async () => {
    const model = { kind: 'fullyConnected', inputDim: 2048, width: 2048, depth: 6, numLabels: 4 } as const;
    const pipeline = { ...JOB.pipeline, numStages: 1 };
    const job = { ...JOB, model, pipeline, firstLayers: [], numSteps: 1 };
    // 100 MB of parameters.
    const run = runPipeline({ config: CONFIG, job, run: 'limit', memoryBytes: 80e6 });
    await expect(run).rejects.toThrow(/may allocate/);
  });
});
