import { setTimeout as delay } from 'node:timers/promises';
import { ServiceError, WorkflowFailedError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { isLookalikeError } from '../../contracts/errors.ts';
import type { Config } from '../../infra/config/env.ts';
import { unreachable } from '../../infra/temporal/connection.ts';

/** A page waits for this; a Temporal server that takes longer is as good as down. */
const CALL_MS = 5_000;

/** Runs what asks Temporal, for a limited time. @throws LookalikeError `unavailable` when it does not answer */
export type TemporalCall = <T>(ask: () => Promise<T>, timeoutMs?: number) => Promise<T>;

/** Calls over a client that need not be connected yet. */
export function temporalCalls(client: Client, config: Pick<Config, 'temporal'>): TemporalCall {
  const address = config.temporal.address ?? `127.0.0.1:${config.temporal.port}`;
  return async (ask, timeoutMs = CALL_MS) => {
    const clock = new AbortController();
    const late = delay(timeoutMs, undefined, { signal: clock.signal }).then(() => {
      throw unreachable(address, new Error(`no answer within ${timeoutMs} ms`));
    });
    const answer = client.connection.withDeadline(Date.now() + timeoutMs, ask).catch((error: unknown) => {
      throw isOutage(error) ? unreachable(address, error) : error;
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clock.abort();
      late.catch(() => undefined);
      answer.catch(() => undefined);
    }
  };
}

/** Whether Temporal did not answer, as opposed to answering no. */
function isOutage(error: unknown): boolean {
  if (isLookalikeError(error) || error instanceof WorkflowFailedError) return false;
  const GRPC_DEADLINE_EXCEEDED = 4;
  const GRPC_UNAVAILABLE = 14;
  const cause = error instanceof ServiceError ? error.cause : error;
  if (!(cause instanceof Error)) return false;
  const code = 'code' in cause ? cause.code : undefined;
  return code === GRPC_DEADLINE_EXCEEDED || code === GRPC_UNAVAILABLE || /connect/i.test(cause.message);
}
