import type { Client } from '@temporalio/client';
import type { TrainProgress } from '../contracts/training.ts';
import type { RungInput, RungOutput } from '../contracts/tuning.ts';
import type { Config } from '../infra/config/env.ts';
import type { Stores } from '../infra/stores.ts';
import { countLiveTrainers } from '../infra/temporal/live-trainers.ts';
import { publishTuning } from '../infra/tune/publish-tuning.ts';
import { trialConfig } from '../infra/tune/trial-config.ts';
import { beating, quick } from './heartbeat.ts';
import { inFew } from './progress.ts';
import { watchPublishing } from './reused.ts';
import { stoppable } from './stoppable.ts';
import type { TrialActivities, TuneActivities, TuneRecordActivities } from './tune-interfaces.ts';

export interface TrialDeps {
  config: Config;
  /** Trains one rung in a child process, resuming from the newest checkpoint of the same configuration. */
  trainRung: (options: {
    config: Config;
    input: RungInput;
    signal: AbortSignal;
    onProgress: (progress: TrainProgress) => void;
  }) => Promise<RungOutput>;
}

export function createTuneRecordActivities(client: Client): TuneRecordActivities {
  return {
    resolveTrial: ({ base, params }) => quick(() => Promise.resolve().then(() => trialConfig(base, params))),
    countTrainers: () => quick(async () => ({ trainers: await countLiveTrainers(client) })),
  };
}

export function createTrialActivities({ config, trainRung }: TrialDeps): TrialActivities {
  return {
    trainTrial: (input) =>
      beating(({ signal, report }) => {
        const onProgress = (progress: TrainProgress): void => report(inFew(progress));
        return trainRung({ config, input, signal, onProgress });
      }),
  };
}

export function createTuneActivities(stores: Pick<Stores, 'artifacts'>): TuneActivities {
  return {
    publishTuning: (input) =>
      beating(async ({ signal }) => {
        const watched = watchPublishing(stoppable(stores, signal));
        const { id } = await publishTuning(watched.stores, input);
        return { artifact: id, reused: watched.reused() };
      }),
  };
}
