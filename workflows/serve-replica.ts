import {
  CancellationScope,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  setCurrentDetails,
  sleep,
} from '@temporalio/workflow';
import { workflowIds } from '../contracts/workflows.ts';
import type { ReplicaState, ServeReplicaInput } from '../contracts/workflows.ts';
import { glance, hosting, upkeep } from './activity-options.ts';
import { carryOn, isRunLong } from './continuation.ts';
import { rootMessage } from './failure.ts';
import { replicaChangedSignal } from './messages.ts';
import { chooseHost, isCrowded, retryDelayMs } from './policy/placement.ts';

/** Twins may meet on the one host that came up first; the second of them looks for a place of its own this often. */
const SETTLE_IN_MS = 15_000;
const LOOK_AROUND_MS = 120_000;

/** A stay longer than this was not a start-up failure, so the next placement need not wait. */
const SETTLED_MS = 60_000;

/**
 * Keeps one replica of one shard on some live index worker, for as long as nobody cancels it: when its host is lost it places
 * the replica again, or waits for a host. Bounded: continues as new when suggested, between two stays on a host; the host keeps
 * the shard and its row over that gap. On cancel the host drains (row away, queries in flight answered, shard unloaded).
 */
export async function serveReplica(input: ServeReplicaInput): Promise<void> {
  let losses = input.losses ?? 0;
  let stays = 0;
  let host: string | null = input.preferredHost ?? null;
  let lostHost: string | null = input.lostHost ?? null;
  try {
    for (;;) {
      if (isRunLong()) {
        const carried = { preferredHost: host ?? undefined, lostHost: lostHost ?? undefined, losses };
        await carryOn<typeof serveReplica>({ ...input, ...carried });
      }
      // After a rotation the shard still stands on its host: go on there.
      host ??= await place(input, lostHost).catch(unplaced);
      if (host === null) {
        await report(input, '', 'placing', 'No index worker answers; waiting for one.');
        await sleep(retryDelayMs((losses += 1)));
        continue;
      }
      await report(input, host, 'hosted', `On index worker \`${host}\`.`);
      const since = Date.now();
      try {
        const stayMs = input.replica === 0 ? undefined : stays === 0 ? SETTLE_IN_MS : LOOK_AROUND_MS;
        await hosting(host).serveShard({ ...input, stayMs });
        losses = 0;
        stays += 1;
        const better: string | null = input.replica === 0 ? null : await placeApart(input, host).catch(unplaced);
        if (better !== null) {
          host = better;
          stays = 0;
        }
      } catch (error) {
        if (isCancellation(error)) throw error;
        if (Date.now() - since > SETTLED_MS) losses = 0;
        const why = rootMessage(error);
        log.warn('Replica lost its host', { host, why });
        await report(input, host, 'lost', `Lost on \`${host}\`: ${why}`);
        lostHost = host;
        stays = 0;
        host = null;
        await sleep(retryDelayMs(losses));
        losses += 1;
      }
    }
  } catch (error) {
    if (isCancellation(error)) {
      const { catalogue, generation, shard, replica } = input;
      await CancellationScope.nonCancellable(() => upkeep.forgetReplica({ catalogue, generation, shard, replica }));
    }
    throw error;
  }
}

/** A keeper that cannot read where hosts stand stays where it is, or tries again later; it never gives up its replica. */
function unplaced(error: unknown): null {
  if (isCancellation(error)) throw error;
  log.warn('Could not look for a host', { why: rootMessage(error) });
  return null;
}

async function place(input: ServeReplicaInput, avoid: string | null): Promise<string | null> {
  const { catalogue, generation, shard, replica } = input;
  const { hosts, endpoints } = await upkeep.listSearchHosts({ catalogue, generations: [generation] });
  return chooseHost({ generation, shard, replica, hosts: hosts.map(({ host }) => host), endpoints, avoid });
}

/** Another host, if the replica now shares its own with a twin and need not. */
async function placeApart(input: ServeReplicaInput, host: string): Promise<string | null> {
  const { catalogue, generation, shard, replica } = input;
  const { hosts, endpoints } = await glance.listSearchHosts({ catalogue, generations: [generation] });
  const request = { generation, shard, replica, endpoints };
  if (!isCrowded(request, host)) return null;
  const other = chooseHost({ ...request, hosts: hosts.map((live) => live.host), avoid: host });
  return other === null || other === host || isCrowded(request, other) ? null : other;
}

/** Tells people and the supervisor; a supervisor that is gone does not stop serving. */
async function report(
  input: ServeReplicaInput,
  host: string,
  status: ReplicaState['status'],
  detail: string,
): Promise<void> {
  const { catalogue, generation, shard, replica } = input;
  setCurrentDetails(detail);
  const supervisor = getExternalWorkflowHandle(workflowIds.serve(catalogue));
  await supervisor
    .signal(replicaChangedSignal, { generation, shard, replica, host, status })
    .catch((error: unknown) => {
      if (isCancellation(error)) throw error;
      log.warn('The supervisor did not take a replica report', { why: rootMessage(error) });
    });
}
