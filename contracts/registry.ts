import type { CatalogueItem, Example } from './catalogue.ts';
import type {
  DataPlaneHost,
  Generation,
  GenerationStatus,
  GenerationSwitch,
  RoutingTable,
  ShardEndpoint,
  SwitchOrder,
} from './serving.ts';

/** What changed in one item write. */
export type ItemChange = 'added' | 'changed' | 'unchanged';

/** The catalogue of record: items and examples of every catalogue. SQLite or PostgreSQL. */
export interface CatalogueStore {
  upsertItems(catalogue: string, items: CatalogueItem[]): Promise<ItemChange[]>;
  upsertExamples(catalogue: string, examples: Example[]): Promise<ItemChange[]>;
  deleteItems(catalogue: string, ids: string[]): Promise<number>;
  /** Found ones only, in the order asked. */
  getItems(catalogue: string, ids: string[]): Promise<CatalogueItem[]>;
  /** Ascending by id, `limit` after `afterId`; category filters. */
  listItems(catalogue: string, page: { afterId?: string; limit: number; category?: string }): Promise<CatalogueItem[]>;
  listExamples(catalogue: string, page: { afterId?: string; limit: number }): Promise<Example[]>;
  categories(catalogue: string): Promise<{ category: string; count: number }[]>;
  catalogues(): Promise<{ catalogue: string; numItems: number; numExamples: number }[]>;
}

/** Generations and which of them serves. All transitions are atomic. */
export interface GenerationStore {
  /** Takes the next number. Idempotent by workflow run: the same `workflowRunId` gets the same generation back. */
  create(draft: {
    catalogue: string;
    snapshot: string;
    workflowId: string;
    workflowRunId: string;
  }): Promise<Generation>;
  update(
    catalogue: string,
    number: number,
    change: Partial<Pick<Generation, 'status' | 'model' | 'embeddings' | 'index' | 'metrics'>>,
  ): Promise<Generation>;
  get(catalogue: string, number: number): Promise<Generation | undefined>;
  list(catalogue: string, status?: GenerationStatus): Promise<Generation[]>;
  /**
   * Makes `number` the serving generation, retires the one before and records who wanted it, in one transaction. Idempotent.
   * @returns the generation that served before, if another did
   */
  switchTo(catalogue: string, number: number, order?: SwitchOrder): Promise<Generation | undefined>;
  /** Every switch since they are recorded, oldest first. */
  switches(catalogue: string): Promise<GenerationSwitch[]>;
}

/** Who answers where. Written by hosts and the supervisor, read by routers. */
export interface RoutingStore {
  announceHost(host: DataPlaneHost): Promise<void>;
  withdrawHost(host: string): Promise<void>;
  hosts(kind: DataPlaneHost['kind']): Promise<DataPlaneHost[]>;
  /** One row per (catalogue, generation, shard, replica); the last writer wins. */
  putEndpoint(catalogue: string, endpoint: ShardEndpoint): Promise<void>;
  /** Removes the row only while it still names `url`: a late drain never erases its replacement. */
  removeEndpoint(catalogue: string, endpoint: ShardEndpoint): Promise<void>;
  endpoints(catalogue: string, generation: number): Promise<ShardEndpoint[]>;
  /** The table of the generation that serves now; undefined when none does. */
  routingTable(catalogue: string): Promise<RoutingTable | undefined>;
}

/** Resume points of training runs, keyed by the run's derivation, so that a restarted run finds them. */
export interface CheckpointStore {
  record(run: string, step: number, artifact: string): Promise<void>;
  /** Newest first; keeps the last two. */
  latest(run: string): Promise<{ step: number; artifact: string }[]>;
  /** For a run whose result is published: nobody resumes it, and what its checkpoints were made from need not be kept for them. */
  forget(run: string): Promise<void>;
}

/** Where one parameter shard of a training run answers; where the run's replicas are a ring, each rank is its own shard. */
export interface TrainingShardEndpoint {
  run: string;
  shard: number;
  url: string;
  /** Grows with each start of the shard; 0 where nobody counts. */
  attempt?: number;
}

/** Where the parts of training runs meet: shards, or ranks of a ring, say where they answer, and replicas look. */
export interface TrainingStore {
  /**
   * One row per (run, shard). A later attempt stays, so that a frozen process that wakes up never displaces its replacement.
   * @returns false when it stays
   */
  announceShard(endpoint: TrainingShardEndpoint): Promise<boolean>;
  /** Removes the row only while it still names `url`. */
  withdrawShard(endpoint: Pick<TrainingShardEndpoint, 'run' | 'shard' | 'url'>): Promise<void>;
  /** Ascending by shard; those that have announced themselves. */
  shards(run: string): Promise<Required<TrainingShardEndpoint>[]>;
  /** For a run that is over. */
  forget(run: string): Promise<void>;
}

/** Which artefact of `similarItems` belongs to an index. */
export interface SimilarStore {
  /** The newest result replaces the one before. */
  record(catalogue: string, index: string, artifact: string): Promise<void>;
  of(catalogue: string, index: string): Promise<string | undefined>;
}

/** Vectors of a few queries, for telling whether what people look for moves away from the catalogue. No picture is kept. */
export interface QuerySampleStore {
  /** Keeps the first and the newest queries of the catalogue's model; those of its other models go. */
  add(catalogue: string, model: string, vector: Float32Array): Promise<void>;
  /** Oldest first; `reference` holds those from when the model was new. */
  of(catalogue: string, model: string): Promise<{ reference: Float32Array[]; recent: Float32Array[] }>;
}

/** API keys: only the SHA-256 of a key is stored. */
export const API_SCOPES = ['read', 'write'] as const;
export type ApiScope = (typeof API_SCOPES)[number];
export interface ApiKeyStore {
  create(name: string, scopes: ApiScope[]): Promise<{ id: string; key: string }>;
  verify(key: string): Promise<{ id: string; name: string; scopes: ApiScope[] } | undefined>;
  list(): Promise<{ id: string; name: string; scopes: ApiScope[]; createdAt: string }[]>;
  revoke(id: string): Promise<boolean>;
}

/** One database connection, all stores on it. */
export interface Registry {
  catalogue: CatalogueStore;
  generations: GenerationStore;
  routing: RoutingStore;
  checkpoints: CheckpointStore;
  training: TrainingStore;
  similar: SimilarStore;
  queries: QuerySampleStore;
  apiKeys: ApiKeyStore;
  close(): Promise<void>;
}
