import type { StagePartInput, StagePartProgress } from '../../contracts/model-parallel.ts';
import type { TrainConfig, TrainProgress } from '../../contracts/training.ts';
import type { BatchPlan } from '../../lib/train/batch-plan.ts';
import type { PartPlan } from '../../lib/train/model-parallel-plan.ts';
import { lengthOf } from '../../lib/train/part-state.ts';
import type { ChildWork } from './child-main.ts';
import type { Gathering } from './gathering.ts';
import { idleProgress } from './step-progress.ts';

/** Turns frames of a training's progress into those of one of its parts. */
export interface StageTeller {
  holds(part: PartPlan): void;
  /** Nothing was computed yet by this process; it goes on after `step`. Without effect once something was told. */
  idle(config: TrainConfig, batches: BatchPlan, backend: string, step?: number): void;
  tell(progress: TrainProgress): void;
  waiting(this: void, reason: string): void;
  gathered(gathering: Gathering): void;
  stepped(): void;
}

export function createStageTeller({
  input: { index },
  onProgress,
}: Pick<ChildWork<StagePartInput, StagePartProgress>, 'input' | 'onProgress'>): StageTeller {
  const startedAt = performance.now();
  const past = { bytes: 0, waitMs: 0 };
  let links: Gathering['links'] = [];
  let held = { holds: '', numParameters: 0 };
  let numSteps = 0;
  let last: TrainProgress | undefined;

  const totals = (): { bytes: number; waitMs: number } =>
    links.reduce(
      ({ bytes, waitMs }, { traffic }) => ({
        bytes: bytes + traffic.sentBytes + traffic.receivedBytes,
        waitMs: waitMs + traffic.waitMs,
      }),
      past,
    );
  const tell = (progress: TrainProgress, waiting: string | null): void => {
    last = progress;
    const { bytes, waitMs } = totals();
    const waitShare = Math.min(1, waitMs / (performance.now() - startedAt));
    onProgress({
      ...{ ...progress, index, ...held, waiting, waitShare },
      bytesPerStep: Math.round(bytes / Math.max(1, numSteps)),
    });
  };
  return {
    holds: ({ about, segments }) => (held = { holds: about, numParameters: lengthOf(segments) }),
    idle(config, batches, backend, step) {
      if (last === undefined) tell(idleProgress(config, batches, backend, step), null);
    },
    tell: (progress) => tell(progress, null),
    waiting: (reason) => last && tell(last, reason),
    gathered(gathering) {
      Object.assign(past, totals());
      links = gathering.links;
    },
    stepped: () => void numSteps++,
  };
}
