import { ApplicationFailure, Context, sleep } from '@temporalio/activity';
import type { TrialActivities, TuneActivities, TuneRecordActivities } from '../../activities/tune-interfaces.ts';
import type { Made } from '../../activities/interfaces.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import type { RungInput, TuningRecord } from '../../contracts/tuning.ts';
import { applyParams } from '../../lib/tune/apply-params.ts';
import { canonical } from '../../lib/tune/dimension.ts';

export type SearchActivities = TrialActivities & TuneActivities & TuneRecordActivities;

/** Trainers of trials in memory. Trials tell themselves apart by `dim`; checkpoints outlive everything, as artefacts do. */
export class FakeTrials {
  /** How many trainers are alive. */
  trainers = 2;
  /** Recall of a configuration after so many epochs. */
  objective: (config: TrainConfig, epoch: number) => number = ({ dim }, epoch) => dim / 100 + epoch / 10_000;
  /** Every epoch that was trained, in order. */
  trained: { dim: number; dropout: number; epoch: number; origin?: string }[] = [];
  /** Rungs that are asked for at this moment, and how many there were, itself included, when each was started. */
  running = 0;
  runningAtStarts: number[] = [];
  /** What happens to the next attempts of a `dim`, after one more epoch. */
  fates = new Map<number, ApplicationFailure[]>();
  /** While this holds, a rung waits. */
  isHeld: (input: RungInput) => boolean = () => false;
  published: TuningRecord[] = [];
  readonly #epochs = new Map<string, number>();

  /** Epochs that were trained more than once. */
  repeated(): string[] {
    const all = this.trained.map((one) => canonical({ ...one }));
    return all.filter((one, i) => all.indexOf(one) !== i);
  }

  epochsOf(dim: number): number[] {
    return this.trained.filter((one) => one.dim === dim).map(({ epoch }) => epoch);
  }

  async train({
    train: { config },
    untilEpoch,
    origin,
  }: RungInput): Promise<Awaited<ReturnType<TrialActivities['trainTrial']>>> {
    const key = `checkpoint-${canonical({ config: config as never, origin: origin ?? null })}`;
    const { dim, featureDropout: dropout, epochs } = config;
    const start = this.#epochs.get(key) ?? (origin === undefined ? 0 : epochOf(origin));
    for (let epoch = start + 1; epoch <= untilEpoch; epoch++) {
      this.trained.push({ dim, dropout, epoch, ...(origin !== undefined && { origin }) });
      this.#epochs.set(key, epoch);
      const fate = this.fates.get(dim)?.shift();
      if (fate !== undefined) throw fate;
    }
    const values = Array.from({ length: untilEpoch }, (_, i) => this.objective(config, i + 1));
    const value = Math.max(...values);
    const isOver = untilEpoch >= epochs;
    return {
      reports: [{ epoch: untilEpoch, value }],
      checkpoint: isOver ? null : `${key} after ${untilEpoch}`,
      model: isOver ? `model-trial-${dim}` : null,
      recall: isOver ? value : null,
      reused: start >= untilEpoch,
    };
  }
}

const epochOf = (checkpoint: string): number => Number(/after (\d+)$/.exec(checkpoint)![1]);

export function fakeTrialActivities(trials: FakeTrials, make: (artifact: string) => Made): SearchActivities {
  return {
    async resolveTrial({ base, params }) {
      const config = applyParams(base, params);
      if (config.train.dim < 1) throw ApplicationFailure.nonRetryable('Expected dim >= 1.', 'invalidInput');
      return config;
    },
    countTrainers: async () => ({ trainers: trials.trainers }),
    async trainTrial(input) {
      trials.running += 1;
      trials.runningAtStarts.push(trials.running);
      try {
        while (trials.isHeld(input)) {
          Context.current().heartbeat();
          await sleep(20);
        }
        return await trials.train(input);
      } finally {
        trials.running -= 1;
      }
    },
    async publishTuning(record) {
      trials.published.push(record);
      return make(`tuning-${trials.published.length}`);
    },
  };
}
