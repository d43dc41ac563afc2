import { z } from 'zod';
import type { ArtifactStore } from '../../contracts/artifacts.ts';
import type { DeltaOrigin } from './delta-tail.ts';

const ShardManifest = z.object({
  inputs: z.object({ snapshot: z.string(), model: z.string() }),
  config: z.object({ shard: z.number(), numShards: z.number() }),
});
const SnapshotManifest = z.object({ config: z.object({ catalogue: z.string() }) });

/** Read off the shard itself: whoever holds it knows which changes it lacks. @throws LookalikeError `notFound` */
export async function originOf(artifacts: Pick<ArtifactStore, 'get'>, shardArtifact: string): Promise<DeltaOrigin> {
  const { inputs, config } = ShardManifest.parse((await artifacts.get(shardArtifact)).manifest);
  const { catalogue } = SnapshotManifest.parse((await artifacts.get(inputs.snapshot)).manifest).config;
  return { catalogue, ...inputs, ...config };
}
