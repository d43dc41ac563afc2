import type { SearchEffort } from './ann.ts';
import type { AttributeFilter } from './filters.ts';
import type { JsonObject } from './json.ts';

/** Where one replica of one shard answers now. */
export interface ShardEndpoint {
  generation: number;
  shard: number;
  replica: number;
  /** Base URL of the data plane, e.g. `http://127.0.0.1:40123`. */
  url: string;
  /** The host's own name; replicas of a shard stand on different hosts where there are enough. */
  host: string;
  /** Shard artefact it loaded; a request names it, and a host that holds another refuses. */
  artifact: string;
}

/** A generation: one model and one index that answer together. Numbers only grow. */
export const GENERATION_STATUSES = ['building', 'serving', 'retired', 'rejected', 'failed'] as const;
export type GenerationStatus = (typeof GENERATION_STATUSES)[number];

export interface Generation {
  catalogue: string;
  number: number;
  status: GenerationStatus;
  snapshot: string;
  model: string | null;
  embeddings: string | null;
  index: string | null;
  /** Holdout recall and index recall; on rejection the reasons; `untrained`: why its model is the untrained one. */
  metrics: JsonObject;
  workflowId: string;
  createdAt: string;
}

/** Who wanted another generation to serve, and why. */
export interface SwitchOrder {
  /** `retrain`: a run switched to what it made; the others a person asked for. */
  how: 'retrain' | 'promote' | 'rollback';
  /** A user of this machine, the id of an API key, or the workflow. */
  by: string;
  reason: string | null;
}

/** One switch as it was recorded, in the transaction that made it. */
export interface GenerationSwitch extends SwitchOrder {
  generation: number;
  /** What served until then. */
  previous: number | null;
  /** ISO 8601. */
  at: string;
}

/** All a router needs to answer for one catalogue, read from the registry, never from Temporal. */
export interface RoutingTable {
  catalogue: string;
  generation: number;
  model: string;
  dim: number;
  numShards: number;
  endpoints: ShardEndpoint[];
}

/** A host of the data plane as the registry knows it: index workers and embed workers announce themselves. */
export interface DataPlaneHost {
  host: string;
  kind: 'search' | 'embed';
  url: string;
  /** The host's own Temporal task queue. */
  taskQueue: string;
}

/** Data-plane requests carry this header; hosts refuse others (shared secret of the installation). */
export const DATA_PLANE_TOKEN_HEADER = 'x-lookalike-token';

/** `POST {url}/shards/{artifact}/search`, JSON in and out; the vector as base64 of little-endian f32. */
export interface ShardSearchRequest extends SearchEffort {
  vector: string;
  k: number;
  category?: string;
  filter?: AttributeFilter;
  /** Exact search whatever the index kind. */
  exact?: boolean;
  /** Only items that changed since the index was built. */
  changedOnly?: boolean;
}

export interface ShardSearchResponse {
  artifact: string;
  size: number;
  /** Best first. */
  hits: { id: string; score: number }[];
  searchMs: number;
}

/** `POST {url}/shards/{artifact}/vectors` `{ids}`: stored vectors by item id (missing ids are left out). */
export interface ShardVectorsResponse {
  vectors: Record<string, string>;
}

/** `POST {url}/embed?model={artifact}`: body is the picture's bytes; embeds it with the online priority. */
export interface EmbedResponse {
  model: string;
  dim: number;
  /** base64 of little-endian f32. */
  vector: string;
  timingsMs: { queue: number; decode: number; infer: number };
}

/** What a search answers, in the API and with `lookalike search --json`. */
export interface SearchHit {
  id: string;
  score: number;
  category: string | null;
  title: string | null;
  attributes: JsonObject;
  imageUrl: string;
}

export interface SearchAnswer {
  hits: SearchHit[];
  model: string;
  generation: number;
  index: string;
  coverage: { shardsAsked: number; shardsAnswered: number };
  /** Stages that this query did not need are left out; `fetch` is by URL only, `queue` the wait for an embedder. */
  timingsMs: {
    total: number;
    fetch?: number;
    queue?: number;
    decode?: number;
    infer?: number;
    route: number;
    search: number;
    merge: number;
  };
}
