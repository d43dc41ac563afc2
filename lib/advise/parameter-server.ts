import TinyQueue from 'tinyqueue';
import { encodedBytes } from '../sync/compression/index.ts';
import { computeTimes } from './compute-times.ts';
import { Link } from './link.ts';
import type { Prediction, Scenario } from './setup.ts';

type Event = { at: number; order: number } & (
  | { type: 'fetched'; replica: number; version: number }
  | { type: 'computed'; replica: number; version: number }
  | { type: 'pushed'; replica: number; step: number; version: number }
  | { type: 'applied' }
);

/**
 * A sharded parameter server as a discrete-event simulation. A replica fetches, computes, pushes; shards apply a step when enough
 * of its slices have come (`sync`, `ssp`) or each push as it comes (`async`); a replica that may not run on waits. The shards'
 * links are one queue with S times a machine's rate, as ranges are balanced and every transfer touches all of them alike.
 */
export function simulateParameterServer(scenario: Scenario): Prediction {
  const { workload, cluster, strategy, numSteps, seed } = scenario;
  const { replicas } = cluster;
  const shards = strategy.exchange.kind === 'parameterServer' ? strategy.exchange.shards : 1;
  const rules = rulesOf(scenario);
  const pushBytes = encodedBytes(strategy.compression, workload.numParameters);
  const fetchBytes = workload.numParameters * 4;
  const into = new Link(cluster, shards);
  const outOf = new Link(cluster, shards);
  const applySeconds = fetchBytes / shards / cluster.updateBytesPerSecond;
  const codecSeconds = cluster.codecSecondsPerParameter * workload.numParameters;
  const times = computeTimes(workload.computeSeconds, cluster.stragglers, seed);

  const queue = new TinyQueue<Event>([], (a, b) => a.at - b.at || a.order - b.order);
  let numEvents = 0;
  const plan = (event: Planned): void => queue.push({ ...event, order: numEvents++ });
  /** Per replica: steps begun, and since when it waits for the shards to come far enough. */
  const begun = new Int32Array(replicas);
  const isWaiting = new Uint8Array(replicas);
  /** Slices of steps that are not yet applied. */
  const arrived = new Map<number, { count: number; staleness: number }>();
  let applied = 0;
  let isApplying = false;
  let serverFree = 0;
  let now = 0;
  const counted = { slices: 0, staleness: 0, dropped: 0, computed: 0, since: 0 };
  const warmUp = Math.floor(numSteps / 10) * (rules.isClocked ? 1 : replicas);
  const end = numSteps * (rules.isClocked ? 1 : replicas);

  const begin = (replica: number): void => {
    // What was dropped is not made up for: a late replica goes on with the step that is due.
    if (rules.isClocked) begun[replica] = Math.max(begun[replica]!, applied);
    const step = begun[replica]!;
    if (rules.isClocked && applied < step - rules.staleness) {
      isWaiting[replica] = 1;
      return;
    }
    isWaiting[replica] = 0;
    const fetches = step % rules.fetchEvery === 0;
    const at = fetches ? outOf.transfer(now, fetchBytes) : now;
    plan({ at, type: 'fetched', replica, version: applied });
  };
  const finish = (slices: number, staleness: number): void => {
    applied += 1;
    if (applied <= warmUp) {
      counted.since = now;
      return;
    }
    counted.slices += slices;
    counted.staleness += staleness;
  };
  const applyNext = (): void => {
    const slices = arrived.get(applied);
    if (isApplying || slices === undefined || slices.count < replicas - rules.backups) return;
    isApplying = true;
    plan({ at: now + applySeconds, type: 'applied' });
  };

  for (let replica = 0; replica < replicas; replica++) begin(replica);
  while (applied < end) {
    const event = queue.pop()!;
    now = event.at;
    switch (event.type) {
      case 'fetched': {
        const own = times(event.replica, begun[event.replica]!);
        if (applied > warmUp) counted.computed += own + codecSeconds;
        plan({ at: now + own + codecSeconds, type: 'computed', replica: event.replica, version: event.version });
        break;
      }
      case 'computed': {
        const { replica, version } = event;
        const step = begun[replica]!++;
        // Gradients that are gathered first cost no transfer of their own.
        if ((step + 1) % rules.pushEvery !== 0) begin(replica);
        else plan({ at: into.transfer(now, pushBytes), type: 'pushed', replica, step, version });
        break;
      }
      case 'pushed': {
        if (rules.isClocked) {
          if (event.step < applied) counted.dropped += 1;
          else {
            const slices = arrived.get(event.step) ?? { count: 0, staleness: 0 };
            slices.count += 1;
            slices.staleness += Math.max(0, event.step - event.version);
            arrived.set(event.step, slices);
            applyNext();
          }
        } else {
          serverFree = Math.max(serverFree, now) + applySeconds;
          for (let i = 0; i < rules.pushEvery; i++) finish(1, applied - event.version);
        }
        begin(event.replica);
        break;
      }
      case 'applied': {
        const slices = arrived.get(applied)!;
        arrived.delete(applied);
        isApplying = false;
        finish(slices.count, slices.staleness);
        applyNext();
        for (let replica = 0; replica < replicas; replica++) if (isWaiting[replica] === 1) begin(replica);
        break;
      }
    }
  }
  // Shards that cannot keep up with the updates hold everybody back in the end.
  const elapsed = Math.max(now, serverFree) - counted.since;
  const slicesPerSecond = counted.slices / elapsed;
  return {
    slicesPerSecond,
    efficiency: (slicesPerSecond * workload.computeSeconds) / replicas,
    waitShare: Math.max(0, 1 - counted.computed / (elapsed * replicas)),
    bytesPerStep: pushBytes / rules.pushEvery + fetchBytes / rules.fetchEvery,
    meanStaleness: counted.staleness / Math.max(1, counted.slices),
    droppedShare: counted.dropped / Math.max(1, counted.slices + counted.dropped),
  };
}

type Planned = Event extends infer E ? (E extends Event ? Omit<E, 'order'> : never) : never;

interface Rules {
  isClocked: boolean;
  staleness: number;
  backups: number;
  pushEvery: number;
  fetchEvery: number;
}

function rulesOf({ strategy: { mode } }: Scenario): Rules {
  const none = { isClocked: true, staleness: 0, backups: 0, pushEvery: 1, fetchEvery: 1 };
  switch (mode.kind) {
    case 'sync':
      return { ...none, backups: mode.backups };
    case 'ssp':
      return { ...none, staleness: mode.staleness };
    case 'async':
      return { ...none, isClocked: false, pushEvery: mode.pushEvery, fetchEvery: mode.fetchEvery };
  }
}
