import { MAX_RECALLS_TOLD } from '../contracts/training.ts';
import type { TrainProgress } from '../contracts/training.ts';

/** The same progress, small enough for a heartbeat however long the run is. */
export function inFew<T extends TrainProgress>(progress: T): T {
  return { ...progress, recallByEpoch: progress.recallByEpoch.slice(-MAX_RECALLS_TOLD) };
}
