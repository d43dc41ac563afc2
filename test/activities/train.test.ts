import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it, vi } from 'vitest';
import { createTrainActivities } from '../../activities/train.ts';
import type { TrainDeps } from '../../activities/train.ts';
import { beating } from '../../activities/heartbeat.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainProgress } from '../../contracts/training.ts';
import type { TrainInput } from '../../contracts/workflows.ts';

const input = { snapshot: 'snapshot-1' } as TrainInput;
const frame = (step: number): TrainProgress => ({
  epoch: 0,
  numEpochs: 1,
  step,
  numSteps: 3,
  loss: 1,
  learningRate: 0.1,
  recallByEpoch: [],
  samplesPerSecond: 10,
  backend: 'node',
  checkpoint: null,
});

function activities(train: TrainDeps['train']) {
  return createTrainActivities({
    ...{ config: {} as TrainDeps['config'], stores: {} as TrainDeps['stores'], train },
    finetune: () => Promise.reject(new Error('Expected no fine-tuning.')),
  });
}

describe('trainHead', () => {
  it('beats before any work and then carries each frame of progress', async () => {
    const env = new MockActivityEnvironment();
    const beats: unknown[] = [];
    env.on('heartbeat', (detail) => beats.push(detail));
    const output = { model: 'model-1', reused: false, metrics: {} };
    const run = activities(async ({ onProgress }) => {
      expect(beats).toHaveLength(1);
      onProgress(frame(1));
      onProgress(frame(2));
      return output;
    });
    expect(await env.run(() => run.trainHead(input))).toEqual(output);
    expect(beats.slice(1)).toEqual([frame(1), frame(2)]);
  });

  it('tells the last recalls of a run of very many epochs, so that its heartbeats stay small', async () => {
    const env = new MockActivityEnvironment();
    const beats: TrainProgress[] = [];
    env.on('heartbeat', (detail) => beats.push(detail as TrainProgress));
    const recallByEpoch = Array.from({ length: 100_000 }, (_, epoch) => epoch / 100_003);
    const run = activities(({ onProgress }) => {
      onProgress({ ...frame(1), recallByEpoch });
      return Promise.resolve({ model: 'model-1', reused: false, metrics: {} });
    });
    await env.run(() => run.trainHead(input));
    expect(beats.at(-1)).toEqual({ ...frame(1), recallByEpoch: recallByEpoch.slice(-200) });
    expect(JSON.stringify(beats.at(-1)).length).toBeLessThan(64 * 1024);
  });

  it('stops the training on a cancel and ends as cancelled', async () => {
    const env = new MockActivityEnvironment();
    const stopped = vi.fn();
    const run = activities(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            stopped();
            reject(new LookalikeError('cancelled', 'The training was called off.'));
          });
          env.cancel('CANCELLED');
        }),
    );
    await expect(env.run(() => run.trainHead(input))).rejects.toBeInstanceOf(CancelledFailure);
    expect(stopped).toHaveBeenCalledOnce();
  });
});

describe('beating', () => {
  it('hands a retry what the attempt before reported last, and goes on reporting it', async () => {
    const env = new MockActivityEnvironment({ heartbeatDetails: { cursor: 7 } });
    const beats: unknown[] = [];
    env.on('heartbeat', (detail) => beats.push(detail));
    const seen = await env.run(() => beating(({ last }) => Promise.resolve(last)));
    expect(seen).toEqual({ cursor: 7 });
    expect(beats).toEqual([{ cursor: 7 }]);
  });

  it('goes on beating while the work is silent, and stops with it', async () => {
    vi.useFakeTimers();
    try {
      const env = new MockActivityEnvironment();
      let beats = 0;
      env.on('heartbeat', () => (beats += 1));
      const ended = Promise.withResolvers<void>();
      const running = env.run(() => beating(() => ended.promise));
      await vi.advanceTimersByTimeAsync(5000);
      expect(beats).toBe(6);
      ended.resolve();
      await running;
      await vi.advanceTimersByTimeAsync(5000);
      expect(beats).toBe(6);
    } finally {
      vi.useRealTimers();
    }
  });
});
