import { LookalikeError, isLookalikeError } from '../../contracts/errors.ts';
import type { ParameterClient } from '../sync/protocol.ts';
import { runClocked } from './clocked-loop.ts';
import { runDownpour } from './downpour-loop.ts';
import { FlatHead } from './flat-head.ts';
import { RETRY_MS, isWhole, seededAnew } from './session.ts';
import type { ReplicaOptions, Session } from './session.ts';

/** Failures without a step in between before they are reported; shards that do not answer take the client's time limit each. */
const MAX_FAILURES = 8;

/**
 * Computes one slice of every step and pushes its gradient. The lead returns when the run is over, which is then over for all: the
 * others stay until they are aborted, as shards that are lost may have to be taught again. A replica that starts again goes on
 * where its slice is; shards that lost their state are seeded by the lead and awaited by the others.
 * @throws LookalikeError `cancelled`; `nonFinite`, having pushed nothing of it; `unavailable` when shards stay away
 */
export async function trainReplica(options: ReplicaOptions): Promise<void> {
  const { signal, connect, pause, onWaiting, program } = options;
  const head = new FlatHead(program);
  let numFailures = 0;
  const onStep: ReplicaOptions['onStep'] = (report, exchange) => {
    numFailures = 0;
    return options.onStep?.(report, exchange);
  };
  try {
    for (;;) {
      try {
        const client = await connect(signal);
        try {
          if (await runSession({ ...options, onStep }, client, head)) return;
        } finally {
          await client.close();
        }
      } catch (error) {
        if (signal?.aborted) throw cancelled();
        if (!isLookalikeError(error) || !['unavailable', 'conflict'].includes(error.code)) throw error;
        if (++numFailures === MAX_FAILURES) {
          const message = `The parameter shards could not be used ${MAX_FAILURES} times in a row. ${error.message}`;
          throw new LookalikeError('unavailable', message);
        }
        onWaiting?.(error.message);
      }
      await pause(RETRY_MS, signal).catch((error: unknown) => {
        throw signal?.aborted ? cancelled() : error;
      });
    }
  } finally {
    head.dispose();
  }
}

/** @returns whether the run is over */
async function runSession(options: ReplicaOptions, client: ParameterClient, head: FlatHead): Promise<boolean> {
  const { lead, plan, signal } = options;
  if (lead) await lead.take(client, signal);
  else await untilSeeded(client, options);
  const session: Session = { ...options, client, head, ...(await positionOf(client, options)) };
  await (plan.mode.kind === 'async' ? runDownpour(session, plan.mode) : runClocked(session));
  if (!lead) await untilSeededAnew(session);
  return lead !== undefined;
}

/** Where this replica goes on. */
async function positionOf(
  client: ParameterClient,
  { lead, plan, rank, signal }: ReplicaOptions,
): Promise<Pick<Session, 'incarnation' | 'step' | 'numPushes' | 'seededAt'>> {
  const states = await client.status(signal);
  if (!isWhole(states)) throw seededAnew();
  const { incarnation } = states[0]!;
  const all = states.map(({ statistics }) => statistics);
  const numPushes = Math.min(...all.map(({ nextStepBySlice }) => nextStepBySlice[rank] ?? 0));
  if (plan.mode.kind === 'async') {
    const seededAt = plan.stepOf(Math.min(...all.map(({ step, numPushes: since }) => step - since)));
    return { incarnation, step: seededAt + numPushes * plan.mode.pushEvery, numPushes, seededAt };
  }
  // The lead may have to judge a step whose gradients it has pushed already; a repeated push has no effect.
  const step = lead ? Math.min(...all.map(({ step: applied }) => applied)) : numPushes;
  return { incarnation, step, numPushes, seededAt: 0 };
}

async function untilSeeded(client: ParameterClient, { signal, pause, onWaiting }: ReplicaOptions): Promise<void> {
  while (!isWhole(await client.status(signal))) {
    onWaiting?.('The lead has not given the parameter shards a state yet.');
    await pause(RETRY_MS, signal);
  }
}

/** Its own steps are done: either the run is over, or there will be more to do. */
async function untilSeededAnew({ client, incarnation, signal, pause, onWaiting }: Session): Promise<void> {
  // What it has pushed went to this incarnation; another may have begun before the first look.
  while ((await client.status(signal)).every((state) => state.incarnation === incarnation)) {
    onWaiting?.('Its steps are done: the lead ends the run.');
    await pause(RETRY_MS, signal);
  }
}

function cancelled(): LookalikeError {
  return new LookalikeError('cancelled', 'Training was cancelled.');
}
