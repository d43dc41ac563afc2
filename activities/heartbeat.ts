import { Context } from '@temporalio/activity';
import { toFailure } from './failure.ts';

/** Often enough for the shortest heartbeat timeout (4 s); the SDK sends at most two a second. */
const EVERY_MS = 1000;

export interface Beating {
  /** Aborted on cancel, on a lost heartbeat and when the worker shuts down. */
  signal: AbortSignal;
  /** What an earlier attempt reported last: its resume point. */
  last: unknown;
  /** Sets what heartbeats carry from now on. JSON-safe and small. */
  report: (detail: unknown) => void;
}

/**
 * Runs an activity's whole body under heartbeats, the first before any work, and translates what it throws. The work itself must
 * leave the event loop free: anything heavy belongs into a thread or a child process.
 */
export async function beating<T>(body: (beat: Beating) => Promise<T>): Promise<T> {
  const context = Context.current();
  const signal = context.cancellationSignal;
  const last: unknown = context.info.heartbeatDetails;
  let detail = last;
  context.heartbeat(detail);
  const timer = setInterval(() => context.heartbeat(detail), EVERY_MS);
  try {
    return await body({
      signal,
      last,
      report(next) {
        detail = next;
        context.heartbeat(detail);
      },
    });
  } catch (error) {
    throw toFailure(error, signal);
  } finally {
    clearInterval(timer);
  }
}

/** For activities of a moment: no heartbeat, the same translation of errors. */
export async function quick<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = Context.current().cancellationSignal;
  try {
    return await body(signal);
  } catch (error) {
    throw toFailure(error, signal);
  }
}
