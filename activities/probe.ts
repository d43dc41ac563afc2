import { open } from 'node:fs/promises';
import type { ArtifactStore } from '../contracts/artifacts.ts';
import { LookalikeError } from '../contracts/errors.ts';
import type { ShardEndpoint, ShardSearchResponse, ShardVectorsResponse } from '../contracts/serving.ts';
import type { HostClient } from '../infra/data-plane/host-client.ts';

/** Items per shard whose stored vector must find them. */
const NUM_PROBES = 3;
const TIMEOUT_MS = 2000;
/** A vector's nearest is itself, but duplicates of a picture score the same and may come first. */
const SAME_SCORE = 1e-5;

/**
 * Asks every replica that announced itself, through the data plane, for stored vectors and searches with them: each must find its
 * own item, or one that scores the same. @throws LookalikeError `unavailable` naming what does not answer yet
 */
export async function probeEndpoints(options: {
  client: HostClient;
  stores: { artifacts: ArtifactStore };
  endpoints: readonly ShardEndpoint[];
  index: string;
  numShards: number;
  signal: AbortSignal;
}): Promise<void> {
  const { client, stores, endpoints, index, numShards, signal } = options;
  const { inputs } = (await stores.artifacts.get(index)).manifest;
  for (let shard = 0; shard < numShards; shard++) {
    const artifact = inputs[`shard${shard}`];
    const replicas = endpoints.filter((row) => row.shard === shard && row.artifact === artifact);
    if (artifact === undefined || replicas.length === 0) {
      throw new LookalikeError('unavailable', `Expected a replica of shard ${shard} of ${index}, but none is up yet.`);
    }
    const ids = await firstIds(stores, artifact);
    // One that answers is enough: a lost twin is its keeper's business and must not hold back the others.
    const outcomes = await Promise.allSettled(replicas.map((row) => probe(client, row, ids, signal)));
    if (outcomes.every(({ status }) => status === 'rejected')) {
      throw (outcomes[0] as PromiseRejectedResult).reason;
    }
  }
}

async function probe(client: HostClient, row: ShardEndpoint, ids: string[], signal: AbortSignal): Promise<void> {
  const ask = (verb: string, body: object): Promise<unknown> =>
    client.post(row.url, `/shards/${row.artifact}/${verb}`, JSON.stringify(body), { timeoutMs: TIMEOUT_MS, signal });
  const { vectors } = (await ask('vectors', { ids })) as ShardVectorsResponse;
  for (const id of ids) {
    const vector = vectors[id];
    if (vector === undefined) throw notFound(row, id);
    const { hits } = (await ask('search', { vector, k: 10, exact: true })) as ShardSearchResponse;
    const best = hits[0]?.score ?? Number.NaN;
    const found = hits.some((hit) => hit.id === id) || hits.every((hit) => best - hit.score < SAME_SCORE);
    if (!found || hits.length === 0) throw notFound(row, id);
  }
}

function notFound(row: ShardEndpoint, id: string): LookalikeError {
  return new LookalikeError(
    'unavailable',
    `Expected item ${id} to find itself in shard ${row.shard} on ${row.host}, but it did not.`,
  );
}

/** The first items of a shard, from its own row list. */
async function firstIds(stores: { artifacts: ArtifactStore }, artifact: string): Promise<string[]> {
  await using file = await open(await stores.artifacts.materialise(artifact, 'rows.jsonl'));
  const ids: string[] = [];
  for await (const line of file.readLines()) {
    if (line !== '') ids.push((JSON.parse(line) as { id: string }).id);
    if (ids.length === NUM_PROBES) break;
  }
  return ids;
}
