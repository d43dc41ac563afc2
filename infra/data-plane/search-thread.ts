import { parentPort, workerData } from 'node:worker_threads';
import type { DeltaStatus } from '../../contracts/changes.ts';
import { errorMessage, isLookalikeError } from '../../contracts/errors.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { ShardChange } from '../shards/live-shard.ts';
import type { ShardFiles } from '../shards/shard.ts';
import { HeldShards } from './held-shards.ts';
import { startHttpHost } from './http-host.ts';
import { createSearchRoutes } from './search-routes.ts';
import type { LoadCounter } from './search-routes.ts';

/** What the thread is started with. */
export interface SearchThreadInput {
  address: string;
  token: string;
  load: LoadCounter;
}
export type SearchCommand =
  | { type: 'load'; files: ShardFiles }
  | { type: 'apply'; artifact: string; changes: ShardChange[]; status: Omit<DeltaStatus, 'numRows'> }
  | { type: 'unload'; artifact: string }
  | { type: 'close' };
/** `id` pairs an answer with its command. */
export type SearchCommandMessage = { id: number; command: SearchCommand };
export type SearchThreadMessage =
  | { type: 'listening'; url: string }
  | { type: 'error'; message: string }
  | { type: 'answer'; id: number; failure: { code: ErrorCode | null; message: string } | null };

/** The data plane of one search host: HTTP and indices in a thread, so that a slow query never delays a heartbeat. */
const { address, token, load } = workerData as SearchThreadInput;
const shards = new HeldShards();
const tell = (message: SearchThreadMessage): void => parentPort?.postMessage(message);
const host = await startHttpHost({
  address,
  token,
  route: createSearchRoutes(shards, load),
  onError: (error) => tell({ type: 'error', message: error instanceof Error ? (error.stack ?? '') : String(error) }),
});

async function obey(command: SearchCommand): Promise<void> {
  switch (command.type) {
    case 'load':
      return shards.load(command.files);
    case 'apply':
      return shards.apply(command.artifact, command.changes, command.status);
    case 'unload':
      return shards.unload(command.artifact);
    case 'close':
      return host.close();
  }
}

parentPort?.on('message', ({ id, command }: SearchCommandMessage) => {
  obey(command).then(
    () => tell({ type: 'answer', id, failure: null }),
    (error: unknown) => {
      const code = isLookalikeError(error) ? error.code : null;
      tell({ type: 'answer', id, failure: { code, message: errorMessage(error) } });
    },
  );
});
tell({ type: 'listening', url: host.url });
