import { z } from 'zod';
import type { SearchEffort } from '../../contracts/ann.ts';
import type { DeltaStatus } from '../../contracts/changes.ts';
import { isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import type { FacetCounts } from '../../contracts/facets.ts';
import type { AttributeFilter } from '../../contracts/filters.ts';
import type { RoutingStore } from '../../contracts/registry.ts';
import type { RoutingTable, SearchAnswer, ShardExplanation, ShardSearchRequest } from '../../contracts/serving.ts';
import { mergeTopK } from '../../lib/ann/merge.ts';
import type { ScoredId } from '../../lib/ann/merge.ts';
import { shardOf } from '../../lib/ann/shard-of.ts';
import { mergeFacets } from '../../lib/filters/facets.ts';
import { createHostClient } from '../data-plane/host-client.ts';
import { decodeVector, encodeVector } from '../data-plane/vector-base64.ts';
import { effortOf } from '../shards/search-effort.ts';
import type { Logger } from '../log/logger.ts';
import { askShard } from './ask-shard.ts';
import { deltaStatus } from './delta-status.ts';
import type { Asked } from './ask-shard.ts';
import { HedgePolicy } from './hedge-policy.ts';
import { gather } from './shard-replies.ts';
import { TableWatch } from './table-watch.ts';

export interface RouterQuery extends SearchEffort {
  catalogue: string;
  /**
   * The query, or a function that makes it for the generation that will answer; it is called again when another model comes to
   * serve in between. Give `model` beside a fixed vector, so that it is never compared with another model's.
   */
  vector: Float32Array | ((table: RoutingTable) => Promise<Float32Array>);
  model?: string;
  k: number;
  category?: string;
  filter?: AttributeFilter;
  exact?: boolean;
  /** Only items that changed since the generation's snapshot. */
  changedOnly?: boolean;
  /** `category` or attributes: the `facetSize` (default 10) commonest values of each, over all that may be found. */
  facets?: string[];
  facetSize?: number;
  /** Have the shards tell how they found what they found. */
  explain?: boolean;
  /** Score in full precision even where codes alone would decide. */
  exactScores?: boolean;
  /** Nobody waits for this exact search: hosts answer everybody else first, and it is never hedged. */
  background?: boolean;
  /** Leave out hits that score less. */
  minScore?: number;
  /** Answer from the shards that answer, and say so in `coverage`. */
  allowPartial?: boolean;
  signal?: AbortSignal;
  /** Default 2000. */
  deadlineMs?: number;
}

export interface RouterAnswer {
  table: RoutingTable;
  /** Score descending, then id ascending; all of one generation. */
  hits: ScoredId[];
  /** Of the facets that were asked for, in that order. */
  facets?: FacetCounts[];
  coverage: SearchAnswer['coverage'];
  /** What became of asking each shard. */
  shards: ShardExplanation[];
  timingsMs: { route: number; search: number; merge: number };
}

/** Scatters queries to the shards of the serving generation and merges what they find. */
export interface Router {
  /**
   * @throws LookalikeError `notFound` when nothing serves; `unavailable` when a shard does not answer; `timeout`; `conflict` when
   * `model` no longer serves; `dimensionMismatch` | `nonFinite` | `invalidInput` | `cancelled`
   */
  search(query: RouterQuery): Promise<RouterAnswer>;
  /**
   * The stored vector of an item, of the given table's generation or the serving one.
   * @throws LookalikeError `notFound` when that generation does not hold the item
   */
  vectorOf(
    catalogue: string,
    itemId: string,
    options?: { table?: RoutingTable; signal?: AbortSignal; deadlineMs?: number },
  ): Promise<{ table: RoutingTable; vector: Float32Array }>;
  /**
   * How far changes are searched in every replica that answers: the least of them.
   * @throws LookalikeError `notFound` when nothing serves; `unavailable` when no replica of a shard answers
   */
  deltaStatus(catalogue: string): Promise<DeltaStatus & { generation: number }>;
  /**
   * Stored vectors of the table's generation by item; ids that it does not hold are left out.
   * @throws LookalikeError `unavailable` when a shard of theirs does not answer; `timeout`; `cancelled`
   */
  vectorsOf(
    table: RoutingTable,
    itemIds: readonly string[],
    options?: { signal?: AbortSignal; deadlineMs?: number },
  ): Promise<Map<string, Float32Array>>;
  /** @throws LookalikeError `notFound` when nothing serves */
  currentTable(catalogue: string): Promise<RoutingTable>;
  close(): Promise<void>;
}

const DEFAULT_DEADLINE_MS = 2000;
const DEFAULT_FACET_SIZE = 10;
/** Tables tried per query: one, a fresh one after a switch, and one more for a switch right after that. */
const MAX_ATTEMPTS = 3;

const VectorsResponse = z.object({ vectors: z.record(z.string(), z.string()) });

export interface RouterOptions {
  routing: Pick<RoutingStore, 'routingTable'>;
  token: string;
  logger?: Logger;
}

export function createRouter({ routing, token, logger }: RouterOptions): Router {
  const client = createHostClient(token);
  const hedging = new HedgePolicy();
  const watches = new Map<string, TableWatch>();

  function forget(watch: TableWatch): void {
    for (const [catalogue, each] of watches) if (each === watch) watches.delete(catalogue);
  }

  function watch(catalogue: string): TableWatch {
    let known = watches.get(catalogue);
    if (known === undefined) {
      const created: TableWatch = new TableWatch(catalogue, routing, () => forget(created), logger);
      watches.set(catalogue, created);
      known = created;
    }
    return known;
  }

  async function ask(
    table: RoutingTable,
    shard: number,
    verb: 'search' | 'vectors',
    body: string,
    limits: Limits,
  ): Promise<Asked> {
    const replicas = table.endpoints.filter((each) => each.shard === shard);
    const shardName = `shard ${shard} of "${table.catalogue}"`;
    try {
      return await askShard({ client, hedging, replicas, shardName, verb, body, ...limits });
    } catch (error) {
      if (!isLookalikeError(error) || error.code !== 'notFound') throw error;
      // Hosts' talk of artefacts means nothing to a caller: to them the shard just does not answer now.
      const message = `Expected ${shardName} to answer for generation ${table.generation}: ${error.message}`;
      throw new LookalikeError('unavailable', message, {}, { cause: error });
    }
  }

  /** Runs `attempt` on the serving table, and again on a fresh one when the first proves old or unanswered. */
  async function onTable<T>(
    catalogue: string,
    limits: Limits,
    attempt: (table: RoutingTable) => Promise<T>,
  ): Promise<T> {
    let table = await watch(catalogue).table();
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt(table);
      } catch (error) {
        const mayHelp = isLookalikeError(error) && error.retryable;
        if (!mayHelp || attempts >= MAX_ATTEMPTS || performance.now() >= limits.deadline) throw error;
        await watch(catalogue).refresh();
        const fresh = await watch(catalogue).table();
        if (isSame(fresh, table)) throw error;
        table = fresh;
      }
    }
  }

  return {
    async search(query) {
      const { catalogue, vector, model, minScore = -Infinity, allowPartial = false } = query;
      checkK(query.k);
      const start = performance.now();
      const limits = limitsOf(query, start);
      let partial: RouterAnswer | undefined;
      const attempt = async (table: RoutingTable): Promise<RouterAnswer> => {
        if (model !== undefined && model !== table.model) {
          const message = `Expected model ${model} to serve "${catalogue}", but ${table.model} does now. Embed the query again.`;
          throw new LookalikeError('conflict', message, { model: table.model });
        }
        const values = typeof vector === 'function' ? await vector(table) : vector;
        checkQuery(values, table.dim);
        const { k, category, filter, exact, exactScores, changedOnly, facets, explain, background } = query;
        const limited = { category, filter, exact, exactScores, changedOnly };
        const asks = { k, ...limited, facets, explain, background, ...effortOf(query) };
        const body = JSON.stringify({ vector: encodeVector(values), ...asks } satisfies ShardSearchRequest);
        const scattered = performance.now();
        const asked = Array.from({ length: table.numShards }, (_, shard) => ask(table, shard, 'search', body, limits));
        const { answers, shards, failure } = await gather(asked, allowPartial);
        const gathered = performance.now();
        const lists = answers.map(({ hits }) => hits);
        const hits = mergeTopK(lists, k).filter((hit) => hit.score >= minScore);
        const counts = facets?.map((name, i) => {
          const told = answers.flatMap((one) => one.facets?.[i] ?? []);
          return mergeFacets(name, told, query.facetSize ?? DEFAULT_FACET_SIZE);
        });
        const merge = performance.now() - gathered;
        const coverage = { shardsAsked: table.numShards, shardsAnswered: answers.length };
        const timingsMs = { route: scattered - start, search: gathered - scattered, merge };
        const answer = { table, hits, ...(counts && { facets: counts }), coverage, shards, timingsMs };
        if (failure === undefined) return answer;
        if (answers.length > 0) partial = answer;
        throw failure;
      };
      try {
        return await onTable(catalogue, limits, attempt);
      } catch (error) {
        // Half an answer only after a fresh table could not make it whole.
        if (partial !== undefined && isLookalikeError(error) && error.retryable) return partial;
        throw error;
      }
    },

    async vectorOf(catalogue, itemId, options = {}) {
      const limits = limitsOf(options, performance.now());
      const read = async (table: RoutingTable): Promise<{ table: RoutingTable; vector: Float32Array }> => {
        const shard = shardOf(itemId, table.numShards);
        const { answer } = await ask(table, shard, 'vectors', JSON.stringify({ ids: [itemId] }), limits);
        const vector = VectorsResponse.parse(answer).vectors[itemId];
        if (vector === undefined) throw new NotIndexed(itemId, table);
        return { table, vector: decodeVector(vector) };
      };
      return options.table === undefined ? onTable(catalogue, limits, read) : read(options.table);
    },

    deltaStatus: async (catalogue) => deltaStatus(client, await watch(catalogue).table()),

    async vectorsOf(table, itemIds, options = {}) {
      const limits = limitsOf(options, performance.now());
      const byShard = Map.groupBy(itemIds, (id) => shardOf(id, table.numShards));
      const asked = [...byShard].map(async ([shard, ids]) => {
        const { answer } = await ask(table, shard, 'vectors', JSON.stringify({ ids }), limits);
        return Object.entries(VectorsResponse.parse(answer).vectors);
      });
      return new Map((await Promise.all(asked)).flat().map(([id, vector]) => [id, decodeVector(vector)]));
    },

    currentTable: (catalogue) => watch(catalogue).table(),

    async close() {
      for (const each of [...watches.values()]) each.close();
      await client.close();
    },
  };
}

interface Limits {
  deadline: number;
  signal?: AbortSignal;
  background?: boolean;
}

/** The host answered, and the item is not there: no other table will help. */
class NotIndexed extends LookalikeError {
  constructor(itemId: string, { catalogue, generation }: RoutingTable) {
    const message = `Expected item "${itemId}" in generation ${generation} of "${catalogue}", but it is not indexed there.`;
    super('notFound', message, { itemId });
  }
}

function limitsOf(query: Pick<RouterQuery, 'deadlineMs' | 'signal' | 'background'>, start: number): Limits {
  const { deadlineMs = DEFAULT_DEADLINE_MS, signal, background } = query;
  return { deadline: start + deadlineMs, signal, background };
}

function isSame(a: RoutingTable, b: RoutingTable): boolean {
  return a.generation === b.generation && JSON.stringify(a.endpoints) === JSON.stringify(b.endpoints);
}

function checkK(k: number): void {
  if (!Number.isInteger(k) || k < 1 || k > 10_000) {
    throw new LookalikeError('invalidInput', `Expected \`k\` to be an integer from 1 to 10000, got ${k}.`);
  }
}

function checkQuery(vector: Float32Array, dim: number): void {
  if (vector.length !== dim) {
    const message = `Expected the query vector to have ${dim} dimensions, got ${vector.length}.`;
    throw new LookalikeError('dimensionMismatch', message, { expected: dim, got: vector.length });
  }
  const bad = vector.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) {
    throw new LookalikeError(
      'nonFinite',
      `Expected the query vector to be finite, got ${vector[bad]} at position ${bad}.`,
    );
  }
}
