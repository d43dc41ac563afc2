import type { IndexSpec } from './ann.ts';
import type { RetrainConfig, RetrievalQuality, TrainConfig } from './training.ts';

/** Workflow types by the name the server knows them by. */
export const WORKFLOWS = {
  retrain: 'retrain',
  train: 'train',
  embedCatalogue: 'embedCatalogue',
  buildIndex: 'buildIndex',
  serveIndex: 'serveIndex',
} as const;

/** Readable ids: what a person sees in the Temporal UI. One retrain and one supervisor per catalogue at a time. */
export const workflowIds = {
  retrain: (catalogue: string): string => `retrain/${catalogue}`,
  /** Children carry their parent's id and the step's name. */
  step: (parentId: string, step: string): string => `${parentId}/${step}`,
  serve: (catalogue: string): string => `serve/${catalogue}`,
};

export interface RetrainInput {
  catalogue: string;
  config: RetrainConfig;
  /** Serve the candidate even if the gate refuses it; recorded with the generation. */
  force: boolean;
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
}

export interface EmbedCatalogueInput {
  catalogue: string;
  snapshot: string;
  model: string;
  views: number;
  /** Carried over continue-as-new; absent at the start. */
  cursor?: { plan: string; nextChunk: number; embedded: number; rejected: number };
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
  spec: IndexSpec;
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
}
export interface ServeIndexInput {
  catalogue: string;
  /** What served when the history was continued as new. */
  serving: ServingTarget | null;
}

/** Update of serveIndex: returns once the target answers queries and the routing table has switched to it. */
export const SWITCH_GENERATION = 'switchGeneration';
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
  replicas: {
    generation: number;
    shard: number;
    replica: number;
    host: string;
    status: 'placing' | 'starting' | 'lost';
  }[];
}
