import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { getExternalWorkflowHandle, isCancellation, log, startChild } from '@temporalio/workflow';
import { workflowIds } from '../contracts/workflows.ts';
import type { ServingTarget } from '../contracts/workflows.ts';
import { serving as hands } from './activity-options.ts';
import { labels } from './children.ts';
import { rootMessage } from './failure.ts';
import { generationKey, modelKey } from './messages.ts';
import { chooseHost } from './policy/placement.ts';
import type { PlacementRequest } from './policy/placement.ts';
import { serveReplica } from './serve-replica.ts';

/** Starts the keeper of every replica that has none; those that run are left alone. @returns the number of shards */
export async function startReplicas(catalogue: string, target: ServingTarget): Promise<number> {
  const { generation, index } = target;
  const { shards } = await hands.describeIndex({ index });
  const { hosts, endpoints } = await hands.listSearchHosts({ catalogue, generations: [generation] });
  const names = hosts.map(({ host }) => host);
  const placed: PlacementRequest['endpoints'][number][] = [...endpoints];
  for (const [shard, artifact] of shards.entries()) {
    for (let replica = 0; replica < target.numReplicas; replica++) {
      const preferredHost = chooseHost({ generation, shard, replica, hosts: names, endpoints: placed, avoid: null });
      if (preferredHost !== null) placed.push({ generation, shard, replica, host: preferredHost });
      await startChild(serveReplica, {
        workflowId: workflowIds.replica(catalogue, generation, shard, replica),
        args: [{ catalogue, generation, shard, replica, artifact, preferredHost: preferredHost ?? undefined }],
        parentClosePolicy: 'ABANDON',
        cancellationType: 'ABANDON',
        staticSummary: `Shard ${shard}, replica ${replica} of generation ${generation}`,
        typedSearchAttributes: [
          ...labels('serveReplica', catalogue),
          { key: generationKey, value: String(generation) },
          { key: modelKey, value: target.model },
        ],
      }).catch((error: unknown) => {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      });
    }
  }
  return shards.length;
}

/** Asks the keepers of the replicas from `fromReplica` on to drain and end; those already gone are no error. */
export async function stopReplicas(
  catalogue: string,
  target: ServingTarget,
  fromReplica = 0,
  { describeIndex }: Pick<typeof hands, 'describeIndex'> = hands,
): Promise<void> {
  const { shards } = await describeIndex({ index: target.index });
  for (let shard = 0; shard < shards.length; shard++) {
    for (let replica = fromReplica; replica < target.numReplicas; replica++) {
      const id = workflowIds.replica(catalogue, target.generation, shard, replica);
      await getExternalWorkflowHandle(id)
        .cancel()
        .catch((error: unknown) => {
          if (isCancellation(error)) throw error;
          log.info('No keeper to stop', { id, why: rootMessage(error) });
        });
    }
  }
}
