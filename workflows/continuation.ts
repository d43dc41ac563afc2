import { CancellationScope, CancelledFailure, continueAsNew, workflowInfo } from '@temporalio/workflow';
import type { Workflow } from '@temporalio/workflow';

/** Whether the run's history has grown so long that the server asks for a new one. */
export const isRunLong = (): boolean => workflowInfo().continueAsNewSuggested;

/**
 * Continues as new, unless a cancel came with the very event that made the run continue: the next run would know nothing of it,
 * and nobody would drain.
 * @throws CancelledFailure
 */
export async function carryOn<T extends Workflow>(...input: Parameters<T>): Promise<never> {
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('Cancelled while continuing as new.');
  return continueAsNew<T>(...input);
}
