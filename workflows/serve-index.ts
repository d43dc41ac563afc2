import {
  ApplicationFailure,
  CancellationScope,
  allHandlersFinished,
  condition,
  currentUpdateInfo,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  sleep,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { ServeIndexInput, ServingState, ServingTarget, SwitchGenerationOutput } from '../contracts/workflows.ts';
import { probing, serving as hands, upkeep } from './activity-options.ts';
import { carryOn, isRunLong } from './continuation.ts';
import { failureCode, rootMessage } from './failure.ts';
import {
  generationKey,
  modelKey,
  replicaChangedSignal,
  servingStateQuery,
  statusKey,
  switchGenerationUpdate,
} from './messages.ts';
import { Mutex } from './mutex.ts';
import { startReplicas, stopReplicas } from './replicas.ts';
import { SwitchAnswers } from './switch-answers.ts';

/** How often keepers that somebody terminated are started again. */
const RECONCILE_EVERY = '10 minutes';
const STARTUP_MS = 5 * 60_000;
const DRAIN_MS = 10_000;
/** A probe that fails this long makes the supervisor look whether all keepers still run. */
const PROBE_ROUND_MS = 30_000;

/**
 * Supervises what serves of one catalogue, for ever. Each replica has a keeper workflow of its own, which outlives this run.
 * A switch starts the target's replicas beside the serving ones, probes them through the data plane, switches the routing
 * in one transaction and only then, after a pause, drains the generation before; a target that does not come up in its time
 * fails the update and changes nothing. Switches run one after another and are safe to repeat. Bounded: continues as new when
 * suggested, carrying everything. On cancel all replicas drain.
 */
export async function serveIndex(input: ServeIndexInput): Promise<void> {
  const { catalogue } = input;
  const state: ServingState = { serving: input.serving, loading: null, replicas: input.replicas ?? [] };
  const retiring = [...(input.retiring ?? [])];
  const oneAtATime = new Mutex();
  const answers = new SwitchAnswers(input.answers);

  setHandler(servingStateQuery, () => state);
  setHandler(replicaChangedSignal, (report) => {
    // A keeper that is being stopped may still speak up.
    const wanted = [state.serving, state.loading, ...retiring];
    if (!wanted.some((target) => target?.generation === report.generation)) return;
    const others = state.replicas.filter(
      ({ generation, shard, replica }) =>
        generation !== report.generation || shard !== report.shard || replica !== report.replica,
    );
    state.replicas = [...others, report];
  });
  setHandler(switchGenerationUpdate, (target) =>
    answers.once(currentUpdateInfo()?.id, () => oneAtATime.run(() => switchTo(target))),
  );

  /** Waits until every shard of the target answers, healing keepers on the way. */
  async function bringUp(target: ServingTarget): Promise<void> {
    const deadline = Date.now() + (target.startupTimeoutMs ?? STARTUP_MS);
    for (;;) {
      const numShards = await startReplicas(catalogue, target);
      const withinMs = Math.min(PROBE_ROUND_MS, Math.max(1, deadline - Date.now()));
      try {
        await probing(withinMs).probeGeneration({ catalogue, target, numShards });
        return;
      } catch (error) {
        if (isCancellation(error) || Date.now() >= deadline || !RETRYABLE.has(failureCode(error))) throw error;
      }
    }
  }

  /** A supervisor that cannot look after its replicas now tries again later; they go on without it. */
  async function heal(target: ServingTarget): Promise<void> {
    await startReplicas(catalogue, target).catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      log.error('Could not look after the replicas', { why: rootMessage(error) });
    });
  }

  /** Stops replicas as far as that is possible now; a failure must not hide the outcome of the switch it belongs to. */
  async function drop(target: ServingTarget, fromReplica = 0): Promise<void> {
    try {
      await stopReplicas(catalogue, target, fromReplica);
      state.replicas = state.replicas.filter(
        ({ generation, replica }) => generation !== target.generation || replica < fromReplica,
      );
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.error('Could not stop replicas', { generation: target.generation, why: rootMessage(error) });
      // The main loop waits for the registry as long as it takes.
      if (fromReplica === 0) retiring.push(target);
    }
  }

  async function switchTo(target: ServingTarget): Promise<SwitchGenerationOutput> {
    const before = state.serving;
    state.loading = target;
    // A generation that still waits to be drained is wanted again.
    for (const again of retiring.filter(({ generation }) => generation === target.generation)) {
      retiring.splice(retiring.indexOf(again), 1);
    }
    describe();
    try {
      await bringUp(target);
      const { generation, order } = target;
      const { previous } = await hands.switchGeneration({ catalogue, generation, order });
      state.serving = target;
      if (before !== null && before.generation !== target.generation) retiring.push(before);
      else if (before !== null) await drop(before, target.numReplicas);
      return { previous, generation: target.generation };
    } catch (error) {
      const isServing = before?.generation === target.generation;
      if (!isServing) await CancellationScope.nonCancellable(() => drop(target));
      if (isCancellation(error)) throw error;
      throw ApplicationFailure.nonRetryable(
        `Generation ${target.generation} did not come up, ${before === null ? 'nothing' : `generation ${before.generation}`} ` +
          `goes on serving: ${rootMessage(error)}`,
        failureCode(error) ?? 'unavailable',
      );
    } finally {
      state.loading = null;
      describe();
    }
  }

  function describe(): void {
    const { serving, loading } = state;
    const said = serving === null ? 'Nothing serves' : `Generation ${serving.generation} serves (\`${serving.index}\`)`;
    setCurrentDetails(loading === null ? `${said}.` : `${said}; loading generation ${loading.generation}.`);
    upsertSearchAttributes([
      { key: generationKey, value: serving === null ? 'none' : String(serving.generation) },
      { key: modelKey, value: serving?.model ?? 'none' },
      { key: statusKey, value: loading === null ? (serving === null ? 'idle' : 'serving') : 'switching' },
    ]);
  }

  async function drainRetired(): Promise<void> {
    for (let old = retiring[0]; old !== undefined; old = retiring[0]) {
      await sleep(old.drainDelayMs ?? DRAIN_MS);
      if (!retiring.includes(old)) continue;
      try {
        await stopReplicas(catalogue, old, 0, upkeep);
      } catch (error) {
        if (isCancellation(error)) throw error;
        // Not a matter of time: its index cannot be read any more, and serving matters more than what it leaves behind.
        log.error('Could not drain a generation', { generation: old.generation, why: rootMessage(error) });
      }
      const at = retiring.indexOf(old);
      // A switch may have wanted it again in the meantime.
      if (at < 0) continue;
      retiring.splice(at, 1);
      state.replicas = state.replicas.filter(({ generation }) => generation !== old.generation);
    }
  }

  try {
    describe();
    for (;;) {
      const { serving } = state;
      if (serving !== null) await oneAtATime.run(() => heal(serving));
      await condition(() => isRunLong() || retiring.length > 0, RECONCILE_EVERY);
      await drainRetired();
      if (isRunLong()) {
        await condition(allHandlersFinished);
        const { serving, replicas } = state;
        await carryOn<typeof serveIndex>({ catalogue, serving, replicas, retiring, answers: answers.list() });
      }
    }
  } catch (error) {
    if (isCancellation(error)) {
      const wanted = [...retiring, state.serving, state.loading].filter((target) => target !== null);
      await CancellationScope.nonCancellable(() =>
        Promise.all(wanted.map((old) => stopReplicas(catalogue, old, 0, upkeep))),
      );
    }
    throw error;
  }
}

const RETRYABLE = new Set<string | null>([null, 'unavailable', 'overloaded', 'timeout']);
