import type { RetrievalQuality } from '../../contracts/training.ts';
import type { RetrievalInput } from '../../lib/eval/retrieval.ts';
import { runHeavyTask } from '../shards/heavy-task.ts';

/**
 * `evaluateRetrieval` in a thread of its own: seconds of arithmetic, beside which heartbeats and photo queries go on. An abort
 * ends it at once.
 * @throws LookalikeError `cancelled` | `nonFinite` | `dimensionMismatch`
 */
export function measureRetrieval(input: RetrievalInput, signal?: AbortSignal): Promise<RetrievalQuality> {
  return runHeavyTask<RetrievalQuality>('../evaluation/retrieval-task', input, signal);
}
