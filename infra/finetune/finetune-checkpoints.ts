import type { Derivation } from '../../contracts/artifacts.ts';
import type { FinetuneState } from '../../lib/finetune/state.ts';
import type { Logger } from '../log/logger.ts';
import type { Stores } from '../stores.ts';
import { checkpointsOf } from '../training/checkpoints.ts';

/** Resume points of one fine-tuning, in the format of any training's. */
export function finetuneCheckpoints({ artifacts, registry }: Stores, derivation: Derivation) {
  const checkpoints = checkpointsOf({ artifacts, checkpoints: registry.checkpoints }, derivation);
  return {
    /** Durable when it returns. */
    save: ({ step, recallByEpoch, values, averages, firstMoments, secondMoments }: FinetuneState): Promise<string> =>
      checkpoints.save({
        ...{ step, recallByEpoch, best: null },
        values: { all: values, averages },
        firstMoments: { all: firstMoments },
        secondMoments: { all: secondMoments },
      }),

    /** The newest that can be read. */
    async latest(logger: Logger): Promise<{ state: FinetuneState; artifact: string } | undefined> {
      const found = await checkpoints.latest((reason) => logger.warn({ reason }, 'a checkpoint is not readable'));
      if (found === undefined) return undefined;
      const { step, recallByEpoch, values, firstMoments, secondMoments } = found.state;
      const state = {
        ...{ step, recallByEpoch, values: values['all']!, averages: values['averages']! },
        ...{ firstMoments: firstMoments['all']!, secondMoments: secondMoments['all']! },
      };
      return { state, artifact: found.artifact };
    },

    forget: (): Promise<void> => checkpoints.forget(),
  };
}
