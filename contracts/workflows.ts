import type { AutoSpec, IndexSpec } from './ann.ts';
import type { ScheduleTrigger } from './schedules.ts';
import type { SwitchOrder } from './serving.ts';
import type { RetrainConfig, RetrievalQuality, TrainConfig } from './training.ts';

/** Workflow types by the name the server knows them by. */
export const WORKFLOWS = {
  retrain: 'retrain',
  train: 'train',
  finetune: 'finetune',
  embedCatalogue: 'embedCatalogue',
  buildIndex: 'buildIndex',
  serveIndex: 'serveIndex',
  serveReplica: 'serveReplica',
  similarItems: 'similarItems',
  tune: 'tune',
  trial: 'trial',
  checkRetrain: 'checkRetrain',
} as const;

/** Readable ids: what a person sees in the Temporal UI. One retrain and one supervisor per catalogue at a time. */
export const workflowIds = {
  retrain: (catalogue: string): string => `retrain/${catalogue}`,
  /** Children carry their parent's id and the step's name. */
  step: (parentId: string, step: string): string => `${parentId}/${step}`,
  serve: (catalogue: string): string => `serve/${catalogue}`,
  similar: (catalogue: string): string => `similar/${catalogue}`,
  tune: (catalogue: string): string => `tune/${catalogue}`,
  /** One after the other, all rungs of a trial have this id. */
  trial: (catalogue: string, trial: number): string => `tune/${catalogue}/t${String(trial).padStart(2, '0')}`,
  /** Of a schedule; the server adds the time to the ids of its runs. */
  schedule: (catalogue: string, trigger: ScheduleTrigger): string => `schedule/${catalogue}/${trigger}`,
  checkRetrain: (catalogue: string, trigger: ScheduleTrigger): string => `check/${catalogue}/${trigger}`,
  /** One keeper per replica of a shard; it outlives runs of its supervisor. */
  replica: (catalogue: string, generation: number, shard: number, replica: number): string =>
    `serve/${catalogue}/g${generation}/s${shard}/r${replica}`,
};

/** Who wanted a run, and why. */
export interface RunOrder {
  /** `request`: a person; the others name the schedule that found it due. */
  trigger: 'request' | 'cron' | 'changes' | 'drift';
  /** A user of this machine, the id of an API key, or the schedule. */
  by: string;
  reason: string | null;
}

export interface RetrainInput {
  catalogue: string;
  config: RetrainConfig;
  /** Serve the candidate even if the gate refuses it; recorded with the generation. */
  force: boolean;
  /** Recorded with the generation. */
  order?: RunOrder;
}

export interface RetrainOutput {
  outcome: 'serving' | 'rejected';
  generation: number;
  model: string;
  index: string | null;
  /** Holdout quality of the candidate, the untrained model and, if there is one, the serving model. */
  quality: { candidate: RetrievalQuality; pretrained: RetrievalQuality; serving: RetrievalQuality | null };
  indexRecall: number | null;
  reasons: string[];
  /** Steps that found their result already made. */
  reused: string[];
  /** Why `model` is the untrained model: nothing could be learnt, or its result not be judged. Absent for a trained one. */
  untrained?: string;
}

/** Query `progress` of retrain: the whole run at a glance. Also the text of its current details. */
export interface RetrainProgress {
  steps: { name: string; status: 'waiting' | 'running' | 'done' | 'reused' | 'failed'; detail: string }[];
}

export interface TrainInput {
  catalogue: string;
  snapshot: string;
  /** Embeddings artefact of the backbone: the cached features, with views. */
  features: string;
  backbone: string;
  config: TrainConfig;
}
export interface TrainOutput {
  /** Model artefact, already exported to ONNX and checked against tfjs. */
  model: string;
  reused: boolean;
  metrics: Record<string, number>;
  /** Why nothing was trained and `model` is the untrained model. Absent for a trained one. */
  untrained?: string;
}

export interface EmbedCatalogueInput {
  catalogue: string;
  snapshot: string;
  model: string;
  views: number;
  /** For a head: embeddings of its backbone over at least this snapshot's pictures. Made first when absent. */
  features?: string;
  /** Continue as new after this many chunks even if the server does not suggest it yet. */
  chunksPerRun?: number;
  /** Carried over continue-as-new; absent at the start. */
  cursor?: {
    plan: string;
    numChunks: number;
    nextChunk: number;
    embedded: number;
    reused: number;
    rejected: number;
  };
}
export interface EmbedCatalogueOutput {
  embeddings: string;
  numEmbedded: number;
  numReused: number;
  numRejected: number;
  /** True when the finished artefact was found already made. */
  reused: boolean;
}

export interface BuildIndexInput {
  catalogue: string;
  snapshot: string;
  embeddings: string;
  model: string;
  spec: IndexSpec | AutoSpec;
  numShards: number;
  minIndexRecall: number;
}
export interface BuildIndexOutput {
  index: string;
  /** recall@10 of the whole index against exact search on the same vectors. */
  recall: number;
  reused: boolean;
}

/** A generation that `serveIndex` should load, verify, switch to, and keep alive. */
export interface ServingTarget {
  generation: number;
  index: string;
  model: string;
  numReplicas: number;
  /** A target whose shards do not all answer by then is given up. Default: five minutes. */
  startupTimeoutMs?: number;
  /** How long the generation before goes on answering after the switch, for routers that have not looked yet. Default: 10 s. */
  drainDelayMs?: number;
  /** Who wanted it, for the record of the switch. */
  order?: SwitchOrder;
}
export interface ServeIndexInput {
  catalogue: string;
  /** What serves when the run starts: from the registry, or carried over continue-as-new. */
  serving: ServingTarget | null;
  /** Carried over continue-as-new: generations that still wait to be drained. */
  retiring?: ServingTarget[];
  /** Carried over continue-as-new: the last word of each replica's keeper. */
  replicas?: ReplicaState[];
  /** Carried over continue-as-new: what the newest switch requests were answered, oldest first. */
  answers?: SwitchAnswer[];
}
/** The outcome of one switch request. Whoever repeats the request, in whichever run, gets the same. */
export interface SwitchAnswer {
  /** The update's id. */
  request: string;
  /** `null` if the switch was refused, for the reason in `refusal`. */
  output: SwitchGenerationOutput | null;
  refusal?: { code: string; message: string };
}
/** Input of `serveReplica`: keeps one replica of one shard on some live host until it is cancelled. */
export interface ServeReplicaInput {
  catalogue: string;
  generation: number;
  shard: number;
  replica: number;
  /** Shard artefact to load. */
  artifact: string;
  /** Where the supervisor, which sees all replicas at once, would put it first. */
  preferredHost?: string;
  /** The host asks to be started again after this time, so that its keeper can look for a better place. */
  stayMs?: number;
  /** Hosts lost in a row without a success between; sets the pause before the next try. Carried over continue-as-new. */
  losses?: number;
  /** Carried over continue-as-new: the host that was lost last, to be avoided where another one lives. */
  lostHost?: string;
}
/** Where one replica stands. Signal `replicaChanged` carries it from the keeper to its supervisor. */
export interface ReplicaState {
  generation: number;
  shard: number;
  replica: number;
  /** Empty while no live host was found. */
  host: string;
  status: 'placing' | 'hosted' | 'lost';
}

/** Update of serveIndex: returns once the target answers queries and the routing table has switched to it. */
export const SWITCH_GENERATION = 'switchGeneration';
/** Signal of serveIndex, sent by its replicas' keepers. */
export const REPLICA_CHANGED = 'replicaChanged';
/** Query of serveIndex. */
export const SERVING_STATE = 'servingState';
/** Query of retrain, train and embedCatalogue. */
export const PROGRESS = 'progress';

export interface SwitchGenerationOutput {
  previous: number | null;
  generation: number;
}

/** The answer to SERVING_STATE: for people and for `lookalike workflows show`. */
export interface ServingState {
  serving: ServingTarget | null;
  loading: ServingTarget | null;
  replicas: ReplicaState[];
}
