import { CancellationScope, isCancellation } from '@temporalio/workflow';

/**
 * Runs `task` for each number from `next` on, at most `width` at once, until `last` (excluded) is reached or `pause()` says
 * to start no more. Waits for all that were started. The first failure cancels the others and is rethrown.
 *
 * @returns the first number that was not started: where to go on
 */
export async function slidingWindow(
  options: { next: number; last: number; width: number; pause: () => boolean },
  task: (item: number) => Promise<void>,
): Promise<number> {
  let next = options.next;
  await CancellationScope.cancellable(async () => {
    const scope = CancellationScope.current();
    async function lane(): Promise<void> {
      while (next < options.last && !options.pause()) await task(next++);
    }
    const lanes = Array.from({ length: Math.min(options.width, options.last - next) }, () =>
      lane().catch((error: unknown) => {
        // The window must not leave work behind it: stop the neighbours, then report the first failure below.
        scope.cancel();
        throw error;
      }),
    );
    const results = await Promise.allSettled(lanes);
    const failed = results.filter((result) => result.status === 'rejected');
    const first = failed.find((result) => !isCancellation(result.reason)) ?? failed[0];
    if (first !== undefined) throw first.reason;
  });
  return next;
}
