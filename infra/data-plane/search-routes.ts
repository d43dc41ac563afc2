import { performance } from 'node:perf_hooks';
import { z } from 'zod';
import type { DeltaStatus } from '../../contracts/changes.ts';
import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import { FACET_LIMITS } from '../../contracts/facets.ts';
import type { ShardSearchResponse, ShardVectorsResponse } from '../../contracts/serving.ts';
import { FilterSchema } from '../filters/filter-schema.ts';
import { EFFORT_FIELDS } from '../shards/search-effort.ts';
import { BackgroundTurns } from './background-turns.ts';
import type { HeldShards } from './held-shards.ts';
import type { HostRequest } from './http-host.ts';
import { decodeVector, encodeVector } from './vector-base64.ts';

/** A 32,768-dimensional vector, or some thousand ids. */
const MAX_BODY_BYTES = 256 << 10;
/** One thread answers in turn: beyond this many waiting requests, a refusal now is kinder than an answer too late. */
const MAX_IN_FLIGHT = 512;

const SearchBody = z.strictObject({
  vector: z.string(),
  k: z.int().min(1).max(10_000),
  category: z.string().optional(),
  filter: FilterSchema.optional(),
  exact: z.boolean().optional(),
  changedOnly: z.boolean().optional(),
  explain: z.boolean().optional(),
  exactScores: z.boolean().optional(),
  background: z.boolean().optional(),
  facets: z.array(z.string()).max(FACET_LIMITS.facets).optional(),
  ...EFFORT_FIELDS,
});
/** Also no ids at all: a probe of a shard that holds no item. */
const VectorsBody = z.strictObject({ ids: z.array(z.string()).max(1000) });

/** Counts for heartbeats; `slots` is [queries, inFlight], shared with the thread that beats. */
export type LoadCounter = BigInt64Array<SharedArrayBuffer>;

/** `POST /shards/{artifact}/search`, `…/vectors`, `…/delta`, `GET /health`; see contracts/serving.ts. */
export function createSearchRoutes(shards: HeldShards, load: LoadCounter): (request: HostRequest) => Promise<object> {
  const turns = new BackgroundTurns(() => Number(load[1]));
  const search = (artifact: string, request: HostRequest): Promise<ShardSearchResponse> =>
    shards.use(artifact, async (shard) => {
      const { vector, facets: names, explain, background, ...query } = await readJson(request, SearchBody);
      const decoded = decodeVector(vector);
      if (request.signal.aborted) throw new LookalikeError('cancelled', 'The router has hung up.');
      const start = performance.now();
      if (background === true) {
        const hits = await turns.take(request.signal, (pause) =>
          shard.searchInTurns({ ...query, vector: decoded }, pause),
        );
        return { artifact, size: shard.size, hits, searchMs: performance.now() - start };
      }
      const { hits, explanation } = shard.answer({ ...query, vector: decoded });
      const searchMs = performance.now() - start;
      const facets = names === undefined ? {} : { facets: shard.facets(names, query) };
      const told = explain === true && { explanation };
      return { artifact, size: shard.size, hits, searchMs, ...facets, ...told };
    });

  const vectors = (artifact: string, request: HostRequest): Promise<ShardVectorsResponse> =>
    shards.use(artifact, async (shard) => {
      const { ids } = await readJson(request, VectorsBody);
      return { vectors: Object.fromEntries([...shard.vectors(ids)].map(([id, each]) => [id, encodeVector(each)])) };
    });

  const delta = (artifact: string): Promise<DeltaStatus> =>
    shards.use(artifact, (shard) => Promise.resolve(shard.status));

  return async (request) => {
    const { method, path } = request;
    if (method === 'GET' && path === '/health') {
      return { shards: shards.list(), queries: Number(load[0]), inFlight: Number(load[1]) };
    }
    const [, artifact, verb] = /^\/shards\/([^/]+)\/(search|vectors|delta)$/.exec(path) ?? [];
    if (method !== 'POST' || artifact === undefined) {
      throw new LookalikeError(
        'notFound',
        `Expected /shards/{artifact}/search, /vectors, /delta or /health, got ${method} ${path}.`,
      );
    }
    Atomics.add(load, 0, 1n);
    const before = Atomics.add(load, 1, 1n);
    try {
      if (before >= MAX_IN_FLIGHT) {
        throw new LookalikeError(
          'overloaded',
          `Expected at most ${MAX_IN_FLIGHT} requests at once, got ${before + 1n}.`,
        );
      }
      if (verb === 'delta') return await delta(artifact);
      return await (verb === 'search' ? search : vectors)(artifact, request);
    } finally {
      Atomics.sub(load, 1, 1n);
    }
  };
}

async function readJson<T>(request: HostRequest, schema: z.ZodType<T>): Promise<T> {
  const text = (await request.body(MAX_BODY_BYTES)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new LookalikeError('invalidInput', `Expected a JSON body, got: ${errorMessage(error)}.`);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new LookalikeError('invalidInput', z.prettifyError(parsed.error));
  return parsed.data;
}
