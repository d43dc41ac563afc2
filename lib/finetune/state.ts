import type { TunedVectors } from './adam.ts';

/** Everything besides data and configuration that the rest of a run depends on. */
export interface FinetuneState extends TunedVectors {
  /** Steps done. */
  step: number;
  recallByEpoch: number[];
}
