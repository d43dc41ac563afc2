import type { FinetuneInput, FinetuneOutput, FinetuneProgress } from '../contracts/finetune.ts';
import type { TrainProgress } from '../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../contracts/workflows.ts';
import type { Config } from '../infra/config/env.ts';
import { ensureBackbone } from '../infra/models/ensure-backbone.ts';
import { ensurePretrained } from '../infra/models/publish-head-model.ts';
import type { ProvisionReport } from '../infra/provision/progress.ts';
import type { Stores } from '../infra/stores.ts';
import { beating } from './heartbeat.ts';
import { inFew } from './progress.ts';
import type { TrainActivities } from './interfaces.ts';
import { watchPublishing } from './reused.ts';
import { stoppable } from './stoppable.ts';

export interface TrainDeps {
  config: Config;
  stores: Stores;
  /** Trains in a child process, resuming from the newest checkpoint of the same derivation. */
  train: (options: {
    config: Config;
    input: TrainInput;
    signal: AbortSignal;
    onProgress: (progress: TrainProgress) => void;
  }) => Promise<TrainOutput>;
  /** Fine-tunes in a child process, likewise. */
  finetune: (options: {
    config: Config;
    input: FinetuneInput;
    signal: AbortSignal;
    onProgress: (progress: FinetuneProgress) => void;
  }) => Promise<FinetuneOutput>;
}

/** Models: the backbone, also fine-tuned, the untrained head and the trained one. */
export function createTrainActivities({ config, stores, train, finetune }: TrainDeps): TrainActivities {
  return {
    ensureBackbone: ({ name }) =>
      beating(async ({ signal, report }) => {
        const watched = watchPublishing(stoppable(stores, signal));
        const tell: ProvisionReport = ({ phase, detail, fraction }) => report({ phase, detail, fraction });
        const made = await ensureBackbone(watched.stores, config, name, tell, signal);
        return { artifact: made.id, reused: watched.reused() };
      }),

    ensurePretrained: ({ backbone }) =>
      beating(async ({ signal }) => {
        const watched = watchPublishing(stoppable(stores, signal));
        const made = await ensurePretrained(watched.stores, backbone);
        return { artifact: made.id, reused: watched.reused() };
      }),

    trainHead: (input) =>
      beating(({ signal, report }) => {
        const onProgress = (progress: TrainProgress): void => report(inFew(progress));
        return train({ config, input, signal, onProgress });
      }),

    finetuneBackbone: (input) =>
      beating(({ signal, report }) => {
        const onProgress = (progress: FinetuneProgress): void => report(inFew(progress));
        return finetune({ config, input, signal, onProgress });
      }),
  };
}
