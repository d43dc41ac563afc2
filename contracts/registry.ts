import type { CatalogueItem, Example } from './catalogue.ts';
import type { CatalogueChange, DeltaTarget, ItemWrite, PictureVector, RequestKey, Written } from './changes.ts';
import type { JsonObject } from './json.ts';
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
  /** All of them in one transaction, in order. What it has answered survives a power cut. */
  writeItems(catalogue: string, writes: ItemWrite[]): Promise<Written>;
  /**
   * As `writeItems`, unless the key was used before: then nothing is written and the answer is the one that was given then. The key is
   * remembered with the writes, for a day.
   * @throws LookalikeError `conflict` when the key came with another request
   */
  writeItemsOnce(
    catalogue: string,
    key: RequestKey,
    writes: ItemWrite[],
    answer: (written: Written) => JsonObject,
  ): Promise<JsonObject>;
  /** What a key's request was answered; undefined for a new key. @throws LookalikeError `conflict` as above */
  answerOf(catalogue: string, key: RequestKey): Promise<JsonObject | undefined>;
  /** Found ones only, in the order asked. */
  getItems(catalogue: string, ids: string[]): Promise<CatalogueItem[]>;
  /** Ascending by id, `limit` after `afterId`; category filters. */
  listItems(catalogue: string, page: { afterId?: string; limit: number; category?: string }): Promise<CatalogueItem[]>;
  listExamples(catalogue: string, page: { afterId?: string; limit: number }): Promise<Example[]>;
  categories(catalogue: string): Promise<{ category: string; count: number }[]>;
  catalogues(): Promise<{ catalogue: string; numItems: number; numExamples: number }[]>;
}

/** The catalogue of record as an ordered feed, and the vectors of what changed since a snapshot. */
export interface ChangeStore {
  /** Changes after a sequence number, ascending, at most `limit`; of each item the latest only. */
  since(catalogue: string, page: { after: number; limit: number }): Promise<CatalogueChange[]>;
  /** The newest sequence number; 0 where nothing was ever written. */
  lastSeq(catalogue: string): Promise<number>;
  /** A snapshot shows the catalogue as of this number. Made again of an equal catalogue it keeps its first: more is changed since then, nothing less. */
  recordSnapshot(catalogue: string, snapshot: string, seq: number): Promise<void>;
  /** 0 for one that was taken before changes were numbered. */
  snapshotSeq(catalogue: string, snapshot: string): Promise<number>;
  /** Those of the items that got another picture after a number. */
  repictured(catalogue: string, ids: string[], after: number): Promise<Set<string>>;
  /** Of every generation that hosts hold shards of, and of the newest while it is being built, once it has its model. */
  targets(): Promise<DeltaTarget[]>;
  /** Pictures that came after `sinceSeq`, and in changes after `after`, and have no vector yet; ascending by change. */
  unembedded(target: DeltaTarget, page: { after: number; limit: number }): Promise<{ image: string; seq: number }[]>;
  /** The first writer's stay: a picture's vector depends on nothing but picture and model. */
  putVectors(catalogue: string, model: string, vectors: PictureVector[]): Promise<void>;
  /** How many pictures of the catalogue have a vector by the model, or none for a reason. */
  numVectors(catalogue: string, model: string): Promise<number>;
  /** By picture, those there are; `null` for a picture that cannot be used. */
  vectors(catalogue: string, model: string, images: string[]): Promise<Map<string, Float32Array | null>>;
  /** Forgets vectors that neither a target nor a rollback from what serves needs, and deletions older than every snapshot in use. @returns rows removed */
  prune(catalogue: string): Promise<number>;
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
  changes: ChangeStore;
  generations: GenerationStore;
  routing: RoutingStore;
  checkpoints: CheckpointStore;
  training: TrainingStore;
  similar: SimilarStore;
  queries: QuerySampleStore;
  apiKeys: ApiKeyStore;
  close(): Promise<void>;
}
