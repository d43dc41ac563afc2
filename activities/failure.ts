import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { SwitchRefused } from '../infra/temporal/serve-client.ts';
import { ERROR_CODES, LookalikeError, errorMessage, isLookalikeError } from '../contracts/errors.ts';
import type { ErrorCode } from '../contracts/errors.ts';

/**
 * The one translation of what an activity throws into what Temporal retries or not: the type is the domain code, and a code that
 * trying again cannot help is non-retryable. A cancel stays a cancel. Anything else is a bug: retried as often as the policy says.
 */
export function toFailure(error: unknown, signal?: AbortSignal): Error {
  if (signal?.aborted === true && isStop(error)) return stopOf(signal);
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (!isLookalikeError(error)) {
    return ApplicationFailure.create({
      message: errorMessage(error),
      type: 'unexpected',
      cause: error instanceof Error ? error : undefined,
    });
  }
  return ApplicationFailure.create({
    message: error.message,
    type: error.code satisfies ErrorCode,
    // A refused switch is asked for under the same id again and would get the same answer.
    nonRetryable: error instanceof SwitchRefused || !ERROR_CODES[error.code].retryable,
    details: [error.details],
    cause: error,
  });
}

function isStop(error: unknown): boolean {
  if (error instanceof LookalikeError) return error.code === 'cancelled';
  return error instanceof CancelledFailure || (error instanceof Error && error.name === 'AbortError');
}

/** A worker that shuts down stops its activities too; those are wanted still, elsewhere. */
function stopOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  const why = reason instanceof Error ? reason.message : 'CANCELLED';
  if (why !== 'WORKER_SHUTDOWN') return reason instanceof CancelledFailure ? reason : new CancelledFailure(why);
  return ApplicationFailure.retryable('The worker shuts down; another one takes over.', 'unavailable');
}

/** Whether the activity is to stop because its worker does, not because the work is unwanted. */
export function isWorkerShutdown(signal: AbortSignal): boolean {
  return signal.aborted && signal.reason instanceof Error && signal.reason.message === 'WORKER_SHUTDOWN';
}
