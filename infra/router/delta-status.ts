import { z } from 'zod';
import type { DeltaStatus } from '../../contracts/changes.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { HostClient } from '../data-plane/host-client.ts';

const TIMEOUT_MS = 1000;

const Status = z.object({ searchableSeq: z.number(), numWaiting: z.number(), numRows: z.number() });

/**
 * Of all shards of a table together, each by the replica that is furthest behind; a replica that does not answer answers no search either.
 * @throws LookalikeError `unavailable` when no replica of a shard answers
 */
export async function deltaStatus(
  client: Pick<HostClient, 'post'>,
  table: Pick<RoutingTable, 'catalogue' | 'generation' | 'numShards' | 'endpoints'>,
): Promise<DeltaStatus & { generation: number }> {
  const shards = await Promise.all(
    Array.from({ length: table.numShards }, async (_, shard) => {
      const replicas = table.endpoints.filter((row) => row.shard === shard);
      const asked = replicas.map(async ({ url, artifact }) =>
        Status.parse(await client.post(url, `/shards/${artifact}/delta`, '{}', { timeoutMs: TIMEOUT_MS })),
      );
      const answers = (await Promise.allSettled(asked)).flatMap((one) =>
        one.status === 'fulfilled' ? [one.value] : [],
      );
      if (answers.length > 0) return answers;
      const message = `Expected a replica of shard ${shard} of "${table.catalogue}" to say how far it is, but none answers.`;
      throw new LookalikeError('unavailable', message);
    }),
  );
  const sumOf = (name: 'numWaiting' | 'numRows'): number =>
    shards.reduce((sum, replicas) => sum + Math.max(...replicas.map((one) => one[name])), 0);
  return {
    generation: table.generation,
    searchableSeq: Math.min(...shards.flat().map((one) => one.searchableSeq)),
    numWaiting: sumOf('numWaiting'),
    numRows: sumOf('numRows'),
  };
}
