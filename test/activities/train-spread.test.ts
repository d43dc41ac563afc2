import { CancelledFailure } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it, vi } from 'vitest';
import { createPartActivities } from '../../activities/train-spread.ts';
import type { PartDeps } from '../../activities/train-spread.ts';
import { FIRST_STAGE } from '../../contracts/data-parallel.ts';
import type { ParameterShardProgress, ReplicaInput, ReplicaProgress } from '../../contracts/data-parallel.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { StagePartProgress } from '../../contracts/model-parallel.ts';

const replica: ReplicaInput = { run: 'r/judged', rank: 1, stage: FIRST_STAGE, train: {} as ReplicaInput['train'] };
const output = { output: { model: 'model-1', reused: false, metrics: {} }, next: null };

function activities(deps: Partial<PartDeps>) {
  const absent = () => Promise.reject(new Error('This part was not asked for.'));
  const config = { workerName: 'trainer-1' } as PartDeps['config'];
  return createPartActivities({
    ...{ config, runReplica: absent, runStagePart: absent, runParameterShard: absent },
    ...deps,
  });
}

/** An environment whose workflow keeps the signals it gets, or takes none. */
function open({ last, attempt = 1, takes = true }: { last?: unknown; attempt?: number; takes?: boolean } = {}) {
  const signals: unknown[] = [];
  const signal = (_: string, part: unknown): Promise<void> => {
    signals.push(part);
    return takes ? Promise.resolve() : Promise.reject(new Error('workflow execution already completed'));
  };
  const bound = { workflow: { getHandle: () => ({ signal }) } };
  const client = { ...bound, withAbortSignal: (_: AbortSignal, ask: () => unknown) => ask() } as unknown as Client;
  const env = new MockActivityEnvironment({ heartbeatDetails: last, attempt }, { client });
  const beats: unknown[] = [];
  env.on('heartbeat', (detail) => beats.push(detail));
  return { env, beats, signals };
}

describe('a part of a spread training', () => {
  it('says where it is, then carries each frame of progress with its host, and gives back the result', async () => {
    const { env, beats, signals } = open({ attempt: 3 });
    const frame = { rank: 1, step: 7, recallByEpoch: Array<number>(1000).fill(0.5) } as unknown as ReplicaProgress;
    const run = activities({
      runReplica({ input, attempt, onProgress }) {
        expect([input, attempt]).toEqual([replica, 3]);
        onProgress(frame);
        return Promise.resolve(output);
      },
    });
    expect(await env.run(() => run.trainReplica(replica))).toEqual(output);
    const recallByEpoch = frame.recallByEpoch.slice(0, 200);
    expect(beats.slice(1)).toEqual([
      { rank: 1, host: 'trainer-1' },
      { ...frame, host: 'trainer-1', recallByEpoch },
    ]);
    expect(signals).toEqual([{ run: 'r/judged', role: 'replica', index: 1, host: 'trainer-1' }]);
  });

  it('started again on the same host, goes on telling where it was and sends no signal', async () => {
    const last = { shard: 2, step: 40, host: 'trainer-1' };
    const { env, beats, signals } = open({ last });
    const run = activities({ runParameterShard: () => Promise.resolve() });
    await env.run(() => run.serveParameters({ ...replica, shard: 2 }));
    expect(beats.at(-1)).toEqual(last);
    expect(signals).toEqual([]);
  });

  it('works although the workflow takes no signal', async () => {
    const { env, beats, signals } = open({ last: { host: 'trainer-0', step: 3 }, takes: false });
    const progress = { shard: 0, step: 4 } as ParameterShardProgress;
    const run = activities({
      runParameterShard: async ({ onProgress }) => onProgress(progress),
    });
    await env.run(() => run.serveParameters({ ...replica, shard: 0 }));
    expect(signals).toHaveLength(1);
    expect(beats.at(-1)).toEqual({ ...progress, host: 'trainer-1' });
  });

  it('of a model says which it is, and carries what it holds', async () => {
    const { env, beats, signals } = open();
    const frame = { index: 2, step: 3, holds: 'labels 4 to 7', recallByEpoch: [] } as unknown as StagePartProgress;
    const run = activities({
      runStagePart({ input, attempt, onProgress }) {
        expect([input.index, attempt]).toEqual([2, 1]);
        onProgress(frame);
        return Promise.resolve(null);
      },
    });
    expect(await env.run(() => run.trainStagePart({ ...replica, index: 2 }))).toBeNull();
    expect(beats.slice(1)).toEqual([
      { index: 2, host: 'trainer-1' },
      { ...frame, host: 'trainer-1' },
    ]);
    expect(signals).toEqual([{ run: 'r/judged', role: 'stage', index: 2, host: 'trainer-1' }]);
  });

  it.each(['trainReplica', 'trainStagePart', 'serveParameters'] as const)(
    '%s stops on a cancel and ends as cancelled',
    async (name) => {
      const { env } = open();
      const stopped = vi.fn();
      const untilAborted = ({ signal }: { signal: AbortSignal }): Promise<never> =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            stopped();
            reject(new LookalikeError('cancelled', 'The part was called off.'));
          });
          env.cancel('CANCELLED');
        });
      const run = activities({ runReplica: untilAborted, runStagePart: untilAborted, runParameterShard: untilAborted });
      const part = env.run(() => run[name]({ ...replica, shard: 0, index: 0 }) as Promise<unknown>);
      await expect(part).rejects.toBeInstanceOf(CancelledFailure);
      expect(stopped).toHaveBeenCalledOnce();
    },
  );

  it.each([
    ['nonFinite', true],
    ['invalidInput', true],
    ['unavailable', false],
  ] as const)('that fails as %s is given up: %s', async (code, nonRetryable) => {
    const { env } = open();
    const run = activities({ runReplica: () => Promise.reject(new LookalikeError(code, 'It did not work.')) });
    await expect(env.run(() => run.trainReplica(replica))).rejects.toMatchObject({ type: code, nonRetryable });
  });
});
