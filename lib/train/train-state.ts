import type { TrainConfig } from '../../contracts/training.ts';
import type { HeadParameters } from './head-state.ts';

/** The epoch with the best recall@1 and what it left of the exported layers (over standardised features), by parameter name. */
export interface BestEpoch {
  epoch: number;
  recall: number;
  values: Record<string, Float32Array>;
}

/** Everything besides data and configuration that the rest of a run depends on; its format is the same for every strategy. */
export interface TrainState extends HeadParameters {
  /** Steps done. */
  step: number;
  recallByEpoch: number[];
  /** Null before the first epoch has ended. */
  best: BestEpoch | null;
}

/** What validation has found so far: every epoch's recall@1, and the best head. */
export class EpochRecord {
  readonly #config: Pick<TrainConfig, 'patience'>;
  readonly #canJudge: boolean;
  readonly #recalls: number[];
  #best: BestEpoch | null;

  constructor(
    config: Pick<TrainConfig, 'patience'>,
    canJudge: boolean,
    from?: Pick<TrainState, 'recallByEpoch' | 'best'>,
  ) {
    this.#config = config;
    this.#canJudge = canJudge;
    this.#recalls = [...(from?.recallByEpoch ?? [])];
    this.#best = from?.best ?? null;
  }

  get recallByEpoch(): readonly number[] {
    return this.#recalls;
  }

  get best(): BestEpoch | null {
    return this.#best;
  }

  /** Takes a start that is a head by itself: what epochs have to beat where the best one is kept, and what is left without any. */
  start(recall: number, head: () => Record<string, Float32Array>): void {
    this.#best = { epoch: -1, recall, values: exported(head()) };
  }

  /** Takes the next epoch's result; its head is asked for when it is to be kept. */
  add(recall: number, head: () => Record<string, Float32Array>): void {
    const epoch = this.#recalls.push(recall) - 1;
    // Without early stopping the schedule has come to rest at the end, and the last epoch is the wanted one.
    const isBetter =
      this.#best === null || this.#config.patience === 0 || !this.#canJudge || recall > this.#best.recall;
    if (!isBetter) return;
    this.#best = { epoch, recall, values: exported(head()) };
  }

  /** Whether the best epoch lies `patience` finished epochs back; 0 never gives up. */
  get isExhausted(): boolean {
    const { patience } = this.#config;
    return patience > 0 && this.#best !== null && this.#recalls.length - 1 - this.#best.epoch >= patience;
  }
}

/** What a model consists of: proxies are of use to the loss alone. */
function exported(values: Record<string, Float32Array>): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => name !== 'proxies'));
}
