import type { AutoSpec, IndexSpec } from '../contracts/ann.ts';
import type { ParameterShardInput, ReplicaInput, StageOutput } from '../contracts/data-parallel.ts';
import type { FinetuneInput, FinetuneOutput } from '../contracts/finetune.ts';
import type { StagePartInput } from '../contracts/model-parallel.ts';
import type { DataPlaneHost, Generation, ShardEndpoint, SwitchOrder } from '../contracts/serving.ts';
import type { GateComparison } from '../contracts/evaluation.ts';
import type { CatalogueChanges, QueryDrift } from '../contracts/schedules.ts';
import type { SimilarConfig, SimilarItemsOutput } from '../contracts/similar.ts';
import type { RetrainConfig, RetrievalQuality } from '../contracts/training.ts';
import type {
  ReplicaState,
  RetrainInput,
  RunOrder,
  ServeReplicaInput,
  ServingTarget,
  SwitchGenerationOutput,
  TrainInput,
  TrainOutput,
} from '../contracts/workflows.ts';

/** What workflows know of activities, by the queue that runs them. Arguments and results are references and small JSON. */

/** A step's artefact; `reused` when it was found finished. */
export interface Made {
  artifact: string;
  reused: boolean;
}

export interface SnapshotMade extends Made {
  numItems: number;
  numExamples: number;
  numImages: number;
  /** Why nothing can be learnt from it, known from its rows alone: the untrained model will serve. Absent otherwise. */
  untrained?: string;
}

export interface OpenedGeneration {
  generation: number;
  /** False when the generation that serves was made from the same snapshot and configuration: it is reused. */
  created: boolean;
  /** What serves now; `untrained` when its model is an untrained one. */
  serving: { generation: number; model: string; index: string; untrained?: true } | null;
}

export type GenerationChange = Partial<Pick<Generation, 'status' | 'model' | 'embeddings' | 'index' | 'metrics'>>;

export interface ModelDescription {
  stage: 'backbone' | 'embedding';
  name: string;
  dim: number;
  backbone: string | null;
}

/** Orchestrator queue: needs only the stores and the Temporal client. */
export interface CatalogueActivities {
  takeSnapshot(input: { catalogue: string }): Promise<SnapshotMade>;
  /** Idempotent by workflow run. With `always`, a new generation is made even if nothing changed. */
  openGeneration(input: {
    catalogue: string;
    snapshot: string;
    config: RetrainConfig;
    always: boolean;
    order?: RunOrder;
  }): Promise<OpenedGeneration>;
  /** Writes to a generation that is still being built; one that serves, served or was refused is left alone. */
  recordGeneration(input: { catalogue: string; generation: number; change: GenerationChange }): Promise<void>;
  describeModel(input: { model: string }): Promise<ModelDescription>;
  /** Asks the catalogue's supervisor, started if need be, to load, verify and switch; waits for its answer. */
  serveGeneration(input: { catalogue: string; target: ServingTarget }): Promise<SwitchGenerationOutput>;
}

export interface LiveHosts {
  hosts: DataPlaneHost[];
  /** Rows of every generation of the catalogue that still routes: what the hosts already carry. */
  endpoints: ShardEndpoint[];
}

/** Orchestrator queue: the supervisor's eyes and hands. */
export interface ServingActivities {
  describeIndex(input: { index: string }): Promise<{ shards: string[] }>;
  /** Hosts that answered a ping just now. */
  listSearchHosts(input: { catalogue: string; generations: number[] }): Promise<LiveHosts>;
  /** Every shard answers a probe query and its stored vectors find themselves. @throws `unavailable` while one does not */
  probeGeneration(input: { catalogue: string; target: ServingTarget; numShards: number }): Promise<void>;
  /** The routing switch, one transaction. Idempotent. */
  switchGeneration(input: {
    catalogue: string;
    generation: number;
    order?: SwitchOrder;
  }): Promise<{ previous: number | null }>;
  /** Removes a replica's row that its host could not remove itself. */
  forgetReplica(input: Pick<ReplicaState, 'generation' | 'shard' | 'replica'> & { catalogue: string }): Promise<void>;
}

/** Train queue. */
export interface TrainActivities {
  ensureBackbone(input: { name: string }): Promise<Made>;
  /** The backbone with an untrained head that only normalises: what training must beat. */
  ensurePretrained(input: { backbone: string }): Promise<Made>;
  trainHead(input: TrainInput): Promise<TrainOutput>;
  /** Where nothing can be learnt, the backbone as it was. */
  finetuneBackbone(input: FinetuneInput): Promise<FinetuneOutput>;
}

/** Replicas queue. */
export interface ReplicaActivities {
  /** Computes one slice of each step. What the stage ended in comes from rank 0; the others end with null or by a cancel. */
  trainReplica(input: ReplicaInput): Promise<StageOutput | null>;
  /** Computes one part of a model that is cut. What the stage ended in comes from part 0; the others end with null or by a cancel. */
  trainStagePart(input: StagePartInput): Promise<StageOutput | null>;
}

/** Parameters queue. */
export interface ParameterActivities {
  /** Holds one shard in memory until it is cancelled. */
  serveParameters(input: ParameterShardInput): Promise<void>;
}

/** Orchestrator queue: the records of trainings on several processes. */
export interface TrainingRecordActivities {
  /** For a run whose parts have all ended. */
  forgetTraining(input: { run: string }): Promise<void>;
}

export interface EmbeddingPlan {
  plan: string;
  /** Finished already: nothing to do. */
  embeddings: string | null;
  numChunks: number;
  numImages: number;
  numReused: number;
  numRejected: number;
}

export interface AssembledEmbeddings extends Made {
  numRejected: number;
}

export interface Evaluated extends Made {
  quality: RetrievalQuality;
}

/** Build queue: disk and CPU, no model runtime of its own threads. */
export interface BuildActivities {
  planEmbedding(input: { snapshot: string; model: string; views: number }): Promise<EmbeddingPlan>;
  assembleEmbeddings(input: { plan: string; model: string; views: number }): Promise<AssembledEmbeddings>;
  /** The index that shards are then built as; found finished, it is the same again. */
  chooseIndex(input: {
    snapshot: string;
    embeddings: string;
    model: string;
    wish: AutoSpec;
    numShards: number;
  }): Promise<Made & { spec: IndexSpec; reason: string }>;
  buildShard(input: {
    snapshot: string;
    embeddings: string;
    model: string;
    spec: IndexSpec;
    shard: number;
    numShards: number;
  }): Promise<Made>;
  publishIndex(input: {
    snapshot: string;
    embeddings: string;
    model: string;
    spec: IndexSpec;
    shards: string[];
    minIndexRecall: number;
    choice?: string;
  }): Promise<Made & { recall: number }>;
  /** Models by their evaluations; categories with fewer than `categoryQueries` queries are not tested. */
  compareModels(input: {
    candidate: string;
    pretrained: string;
    serving: string | null;
    categoryQueries: number;
  }): Promise<GateComparison>;
}

/** Orchestrator queue: the records of `similarItems`. */
export interface SimilarRecordActivities {
  /** @throws `notFound` while no generation serves */
  servingIndex(input: { catalogue: string }): Promise<{ generation: number; index: string }>;
  recordSimilar(input: { catalogue: string; index: string; similar: string }): Promise<void>;
}

/** Orchestrator queue: what schedules look at; as long as the catalogue is large. */
export interface ScheduleActivities {
  measureChanges(input: { catalogue: string }): Promise<CatalogueChanges>;
  measureDrift(input: { catalogue: string }): Promise<QueryDrift>;
}

/** Orchestrator queue. */
export interface ScheduleStartActivities {
  /** While a run of the catalogue is under way, that one is named and nothing is started. */
  startDueRetrain(input: RetrainInput): Promise<{ workflowId: string; runId: string; started: boolean }>;
}

/** Neighbours queue. */
export interface SimilarActivities {
  planSimilar(input: {
    index: string;
    config: SimilarConfig;
  }): Promise<{ similar: string | null; numChunks: number; numItems: number }>;
  findSimilarChunk(input: { index: string; config: SimilarConfig; chunk: number }): Promise<Made>;
  assembleSimilar(input: {
    index: string;
    config: SimilarConfig;
  }): Promise<Made & Pick<SimilarItemsOutput, 'numItems' | 'numGroups' | 'numGrouped'>>;
}

/** Embed queue: the model runtime. */
export interface EmbedActivities {
  embedChunk(input: {
    plan: string;
    chunk: number;
    model: string;
    views: number;
  }): Promise<{ numEmbedded: number; numRejected: number }>;
  /** View 0 of the cached features through the model's head. */
  applyHead(input: {
    snapshot: string;
    features: string;
    model: string;
  }): Promise<Made & { numImages: number; numRejected: number }>;
  evaluateModel(input: { snapshot: string; features: string; model: string }): Promise<Evaluated>;
}

/** The queue of one index worker. */
export interface SearchHostActivities {
  /** Runs as long as the shard is served here. Returns `rotated` to be started again on the same host without a gap. */
  serveShard(input: ServeReplicaInput): Promise<'rotated'>;
}
