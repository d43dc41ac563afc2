import { isLookalikeError, LookalikeError } from '../contracts/errors.ts';
import type { RoutingTable } from '../contracts/serving.ts';
import type { HostClient } from '../infra/data-plane/host-client.ts';
import { deltaStatus } from '../infra/router/delta-status.ts';

type Table = Pick<RoutingTable, 'catalogue' | 'generation' | 'numShards' | 'endpoints'>;

/**
 * A generation that is about to serve must search all changes that are searched now; where nothing answers now, there is nothing to
 * compare with. @throws LookalikeError `unavailable` while it is behind
 */
export async function requireCaughtUp(client: HostClient, serving: Table, next: Table): Promise<void> {
  const now = await statusOf(client, serving);
  if (now === undefined) return;
  const { searchableSeq } = await deltaStatus(client, next);
  if (searchableSeq >= now.searchableSeq) return;
  throw new LookalikeError(
    'unavailable',
    `Expected generation ${next.generation} to search changes up to ${now.searchableSeq}, as generation ${serving.generation} does; it is at ${searchableSeq}.`,
  );
}

async function statusOf(
  client: HostClient,
  table: Table,
): Promise<Awaited<ReturnType<typeof deltaStatus>> | undefined> {
  try {
    return await deltaStatus(client, table);
  } catch (error) {
    if (isLookalikeError(error) && error.code === 'unavailable') return undefined;
    throw error;
  }
}
