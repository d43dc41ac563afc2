import { LookalikeError } from '../../contracts/errors.ts';
import type { ParameterClient, ShardStatistics } from '../sync/protocol.ts';
import type { DataParallelPlan } from './data-parallel-plan.ts';
import type { FlatHead } from './flat-head.ts';
import type { HeadProgram } from './head-program.ts';
import type { Lead } from './lead.ts';
import type { StepReport } from './train-head.ts';

/** Between two looks at shards that cannot be used yet. */
export const RETRY_MS = 200;

/** What may be asked of a replica's exchange with the shards. */
export interface Exchange extends Pick<ParameterClient, 'traffic'> {
  /** Of shard 0. */
  statistics: () => Promise<ShardStatistics>;
}

export interface ReplicaHooks {
  signal?: AbortSignal;
  /** Awaited after each step of this replica: the place to let other work of the process in. */
  onStep?: (report: StepReport, exchange: Exchange) => Promise<void> | void;
  /** Why it waits for something else than the next parameters, each time that it looks. */
  onWaiting?: (reason: string) => void;
  /** Resolves after the time; rejects when aborted. */
  pause: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
}

export interface ReplicaOptions extends ReplicaHooks {
  program: HeadProgram;
  plan: DataParallelPlan;
  /** The slice that it computes. */
  rank: number;
  /** Reaches the shards where they are now; called again when one was lost. The replica closes what it is given. */
  connect: (signal?: AbortSignal) => Promise<ParameterClient>;
  /** Of rank 0, and of no other. */
  lead?: Lead;
}

/** A replica's dealings with shards of one incarnation, from where its slice is. */
export interface Session extends ReplicaOptions {
  client: ParameterClient;
  head: FlatHead;
  /** Of the state that the shards hold, all of them the same. */
  incarnation: number;
  /** The first step that is not pushed yet. */
  step: number;
  /** Async: pushes of this slice since the shards were seeded, and the step at which that was. */
  numPushes: number;
  seededAt: number;
}

export type ShardStates = Awaited<ReturnType<ParameterClient['status']>>;

/** Whether every shard holds a state, and of the same seed. */
export function isWhole(states: ShardStates): boolean {
  return states.every(({ incarnation }) => incarnation > 0 && incarnation === states[0]!.incarnation);
}

/** @throws LookalikeError `cancelled` */
export function expectRunning({ signal, program }: Session, step: number): void {
  if (!signal?.aborted) return;
  throw new LookalikeError('cancelled', `Training was cancelled at step ${step} of ${program.numSteps}.`);
}

/** @param step the one that was taken */
export function reportOf({ program, lead }: Session, step: number, loss: number): StepReport {
  return {
    epoch: Math.floor(step / program.stepsPerEpoch),
    step: step + 1,
    numSteps: program.numSteps,
    loss,
    learningRate: program.learningRateAt(step),
    recallByEpoch: lead?.recallByEpoch ?? [],
  };
}

/** Awaits the session's hook. A client that asks for the status joins whatever the shards hold by now: then this session is over. */
export async function afterStep(session: Session, report: StepReport): Promise<void> {
  const { client, incarnation, signal } = session;
  await session.onStep?.(report, {
    traffic: () => client.traffic(),
    async statistics() {
      const states = await client.status(signal);
      if (!isWhole(states) || states[0]!.incarnation !== incarnation) throw seededAnew();
      return states[0]!.statistics;
    },
  });
}

export function seededAnew(): LookalikeError {
  return new LookalikeError('conflict', 'A parameter shard lost its state, or was given another.');
}
