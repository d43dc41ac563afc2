import { ApplicationFailure, TemporalFailure, isCancellation } from '@temporalio/workflow';
import { errorMessage } from '../contracts/errors.ts';

/** The failure that started the chain: below activity and child workflow failures. */
export function rootCause(error: unknown): unknown {
  let cause = error;
  while (cause instanceof TemporalFailure && cause.cause !== undefined) cause = cause.cause;
  return cause;
}

/** The first cause in one line, for people. */
export function rootMessage(error: unknown): string {
  return isCancellation(error) ? 'Cancelled on request.' : errorMessage(rootCause(error));
}

/** The domain code of a failure (`gateRejected`, `unavailable`, …), if it carries one. */
export function failureCode(error: unknown): string | null {
  const cause = rootCause(error);
  return cause instanceof ApplicationFailure ? (cause.type ?? null) : null;
}
