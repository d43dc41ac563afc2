import type { IndexSpec, Neighbours, SearchEffort } from './ann.ts';
import type { PixelBox } from './crop.ts';
import type { FacetCounts, ShardFacet } from './facets.ts';
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
  /** `category` or attributes whose values are counted over all that may be found. */
  facets?: string[];
  /** Tell how the answer was found. */
  explain?: boolean;
  /** Score in full precision even where codes alone would decide. */
  exactScores?: boolean;
  /** Of an exact search: in short turns, and only while nobody else waits for an answer. */
  background?: boolean;
}

export interface ShardSearchResponse {
  artifact: string;
  size: number;
  /** Best first. */
  hits: { id: string; score: number }[];
  searchMs: number;
  /** Of the facets that were asked for, in that order. */
  facets?: ShardFacet[];
  explanation?: ShardSearchExplanation;
}

/** How one shard found its hits. */
export interface ShardSearchExplanation {
  spec: IndexSpec;
  /** See Neighbours. */
  plan: Neighbours['plan'];
  /** Rows compared with the query, where the kind of index counts them. */
  visited?: number;
}

/** What became of asking one shard. */
export interface ShardExplanation extends Partial<ShardSearchExplanation> {
  shard: number;
  answered: boolean;
  /** Whose answer was taken; null: nobody's. */
  replica: number | null;
  host: string | null;
  /** How many replicas were asked: another after a failure, or beside one that was slow. Absent, as what follows, without an answer. */
  numAsked?: number;
  /** One that was slow was raced by another. */
  isHedged?: boolean;
  /** From asking to the answer, network and waiting included. */
  ms?: number;
  /** Of that, in the index. */
  searchMs?: number;
  numRows?: number;
  /** The code of the failure, where none answered. */
  failure?: string;
}

/** How an answer came to be. */
export interface SearchExplanation {
  /** Searches of all shards, each deeper than the one before, until enough was left. */
  numRounds: number;
  /** Hits asked of each shard in the last round. */
  depth: number;
  candidates: {
    /** Found by the shards. */
    found: number;
    /** Of those, left out: gone from the catalogue, no longer as asked for, or what was asked with. */
    leftOut: number;
  };
  /** What how hard to look was overridden with. */
  effort: SearchEffort;
  exact: boolean;
  /** Of the last round. */
  shards: ShardExplanation[];
}

/** `POST {url}/shards/{artifact}/vectors` `{ids}`: stored vectors by item id (missing ids are left out). */
export interface ShardVectorsResponse {
  vectors: Record<string, string>;
}

/**
 * `POST {url}/embed?model={artifact}&crop={left},{top},{width},{height},{unit}`: body is the picture's bytes; embeds it, or the part of it that
 * `crop` (which may be left out) names, with the online priority.
 */
export interface EmbedResponse {
  model: string;
  dim: number;
  /** base64 of little-endian f32. */
  vector: string;
  timingsMs: EmbedTimings;
  /** What the crop of the request meant in this picture. */
  crop?: PixelBox;
}

/** `queue`: the wait for an embedder; `decode`: to pixels; `preprocess`: to the model's input, absent from hosts that count it as decoding. */
export interface EmbedTimings {
  queue: number;
  decode: number;
  preprocess?: number;
  infer: number;
}

/** What a search answers, in the API and with `lookalike search --json`. */
export interface SearchHit {
  id: string;
  /** How alike, by the metric of the index. */
  score: number;
  /** That query and hit show the same product, as far as the generation knows what its scores mean. */
  probability?: number;
  /** What it ranks by, where a search re-ranks. */
  rankScore?: number;
  category: string | null;
  title: string | null;
  attributes: JsonObject;
  imageUrl: string;
}

/** What the hit stands for, where a search groups. */
export interface HitGroup {
  /** What the group's items have in common; null: the item has no such value and stands for itself. */
  value: string | null;
  /** The next best of the group, as far as they were met on the way to the answer. */
  more: SearchHit[];
}

/**
 * Why an answer is the last: there is nothing more to find; no search looks further than the nearest 10,000; or no more than `rerankDepth`
 * candidates are re-ranked.
 */
export const SEARCH_ENDS = ['nothingMore', 'depth', 'rerankDepth'] as const;
export type SearchEnd = (typeof SEARCH_ENDS)[number];

export interface SearchAnswer {
  /** Of a search that groups: the best of each group. */
  hits: (SearchHit & { group?: HitGroup })[];
  /** Continues the same search after these hits; null after the last. */
  nextCursor: string | null;
  /** Says why there is no `nextCursor`. */
  end?: SearchEnd;
  facets?: FacetCounts[];
  /** What the crop of the search meant in its picture. */
  crop?: PixelBox;
  model: string;
  generation: number;
  index: string;
  coverage: { shardsAsked: number; shardsAnswered: number };
  /** Of a search that asks for it. */
  explanation?: SearchExplanation;
  /** Stages that this query did not need are left out; `fetch` is by URL only, `queue` the wait for an embedder. */
  timingsMs: {
    total: number;
    fetch?: number;
    queue?: number;
    decode?: number;
    preprocess?: number;
    infer?: number;
    route: number;
    search: number;
    merge: number;
    rerank?: number;
  };
}
