import type { AutoSpec, IndexSpec } from './ann.ts';
import type { FinetuneConfig } from './finetune.ts';

/** Which loss pulls a head's outputs together; each owns its parameters. Similarities are cosines. */
export type LossConfig =
  /** Normalised softmax over one proxy per label, cosine margin (CosFace, arXiv 1801.09414 eq. 4). */
  | { kind: 'proxySoftmax'; scale: number; margin: number }
  /** Normalised softmax over one proxy per label, angular margin in radians (ArcFace, arXiv 1801.07698 eq. 3). */
  | { kind: 'arcFace'; scale: number; margin: number }
  /** One proxy per label, each the anchor of the whole batch (Proxy-Anchor, arXiv 2003.13911 eq. 4). */
  | { kind: 'proxyAnchor'; scale: number; margin: number }
  /** Batch-hard triplet (arXiv 1703.07737 sec. 2). */
  | { kind: 'batchHardTriplet'; margin: number }
  /** Visnet's triplet with in-class and out-of-class negatives (arXiv 1703.02344 sec. 3.3). */
  | { kind: 'visnetTriplet'; margin: number; inClassShare: number }
  /** Supervised contrastive over the batch (arXiv 2004.11362 eq. 2); with two samples per label it is InfoNCE (NT-Xent). */
  | { kind: 'supCon'; temperature: number }
  /** All mined pairs of the batch by how alike they are (multi-similarity, CVPR 2019 eq. 15); mining within `margin` (eq. 11, 12). */
  | {
      kind: 'multiSimilarity';
      positiveScale: number;
      negativeScale: number;
      /** Cosine around which pairs are pulled and pushed. */
      threshold: number;
      margin: number;
    };

/**
 * How the slices of each global batch are spread over replicas. The number of replicas is part of what is learnt (a loss compares
 * rows within a slice only); how many processes or machines they run on is not.
 */
export type DataParallelConfig = {
  /** Replicas, each of which computes one slice: labels of the batch, divided evenly. */
  replicas: number;
  /** Where gradients meet: parameter shards, or a ring of the replicas (synchronous only). */
  exchange: { kind: 'parameterServer'; shards: number } | { kind: 'allReduce'; bucketBytes: number };
  mode:
    /** One barrier each step; the slowest `backups` slices of a step are dropped and counted. */
    | { kind: 'sync'; backups: number }
    /** A replica may be `staleness` steps ahead of the slowest; 0 is `sync`. */
    | { kind: 'ssp'; staleness: number }
    /** Downpour: gradients of `pushEvery` steps are pushed together, parameters fetched every `fetchEvery` steps. */
    | { kind: 'async'; pushEvery: number; fetchEvery: number };
  /** What gradients are made of on the wire; what is lost is added to the next one (error feedback) for `topK` and `oneBit`. */
  compression: { kind: 'none' } | { kind: 'fp16' } | { kind: 'topK'; share: number } | { kind: 'oneBit' };
};

/**
 * How one head is cut over processes: a pipeline of stages along its layers, and the labels of a classifier at its end (the proxies of
 * `proxySoftmax`) over several more. What is learnt is what one process learns.
 */
export type ModelParallelConfig = {
  /** Processes along the layers; the last one computes the loss. */
  stages: number;
  /** The layer at which each stage but the first begins, counted from 0 and the loss the last; `auto` cuts by cost. */
  cut: 'auto' | number[];
  /** Parts of each batch that go through the stages one behind the other. */
  microBatches: number;
  /** All forward passes of a step before the backward ones, or backward as soon as can be, which holds fewer micro-batches. */
  schedule: 'gpipe' | '1f1b';
  /** Processes among which the labels of the classifier are divided; the first of them is the last stage. */
  classifierParts: number;
  /** What each process may allocate beside the runtime and the data; the kernel sees to it (Linux). */
  maxBytesPerStage?: number;
};

/** More processes than any installation that this was tried on; a typing error should not start thousands. */
export const MAX_REPLICAS = 64;
export const MAX_SHARDS = 32;
export const MAX_STAGES = 16;
export const MAX_CLASSIFIER_PARTS = 32;

/**
 * What is taken to be the same product: `labels`, what people said (labels, else categories, and examples), or `views`, the augmented
 * views of one picture, for catalogues of which nobody said anything.
 */
export const SUPERVISIONS = ['labels', 'views'] as const;
export type Supervision = (typeof SUPERVISIONS)[number];

/**
 * Where the projection starts: at random values, or at the features' own principal axes, each divided by its deviation to the `power`
 * (0 keeps distances, 1 whitens). Such a start is a head by itself: it needs no epochs.
 */
export type HeadStart = { kind: 'random' } | { kind: 'principalAxes'; power: number };

/** Training of a head on cached features of a frozen backbone. */
export interface TrainConfig {
  strategy: 'single' | 'dataParallel' | 'modelParallel';
  /** Of strategy `dataParallel`. */
  dataParallel?: DataParallelConfig;
  /** Of strategy `modelParallel`. */
  modelParallel?: ModelParallelConfig;
  /** Widths of fully connected layers with ReLU before the projection. Default: none. */
  hidden?: number[];
  /** Default: `labels`. */
  supervision?: Supervision;
  /** Default: random. */
  start?: HeadStart;
  /** Output dimension of the projection. */
  dim: number;
  loss: LossConfig;
  optimizer: { kind: 'adam' | 'sgd'; learningRate: number; weightDecay: number; momentum: number };
  /** Linear warm-up, then cosine to zero at the last epoch. */
  schedule: { warmupEpochs: number };
  /** 0 keeps the start, where it is one of principal axes. */
  epochs: number;
  /** Labels per batch x samples per label: class-balanced batches. */
  labelsPerBatch: number;
  samplesPerLabel: number;
  /** Dropout on the input features, 0..1. */
  featureDropout: number;
  /** Stop after this many epochs without a better validation recall@1 and keep the best; 0 runs to the end and keeps the last. */
  patience: number;
  checkpointEverySteps: number;
  seed: number;
}

/** Heartbeats stay small however long a run is: its last epochs' recalls tell how it goes. */
export const MAX_RECALLS_TOLD = 200;

/** One frame of live progress: the heartbeat of `trainHead`, the page and `workflows show` read it. */
export interface TrainProgress {
  epoch: number;
  numEpochs: number;
  step: number;
  numSteps: number;
  loss: number | null;
  learningRate: number;
  /** Validation recall@1 after each finished epoch, in order; of the last {@link MAX_RECALLS_TOLD} when there are more. The model has all. */
  recallByEpoch: number[];
  samplesPerSecond: number;
  backend: string;
  /** The last durable checkpoint: where a retry starts. */
  checkpoint: string | null;
}

/** Everything a retraining run needs besides data; a recipe resolves to one of these. */
export interface RetrainConfig {
  recipe: string;
  /** `efficientnet-lite0`, a model artefact id whose stage is `backbone`, or `file:` and the path of an ONNX file or a tfjs model.json. */
  backbone: string;
  /** Augmented views cached per picture for training; 1 means the plain picture only. */
  views: number;
  /** Fine-tunes the backbone before the head is trained. Absent: the backbone stays as it is. */
  finetune?: FinetuneConfig;
  train: TrainConfig;
  index: IndexSpec | AutoSpec;
  numShards: number;
  numReplicas: number;
  gate: {
    /** Candidate's recall@1 may be at most this much below the serving model's, both measured now on the same holdout. */
    maxRecallDrop: number;
    /**
     * A larger drop refuses only where an equally good candidate would show one with less than this chance. 1 (and absent): every
     * larger drop refuses. Sets of fewer than 50 queries cannot tell chance from loss: there every larger drop refuses.
     */
    significance?: number;
    /** Categories with at least this many queries must not drop either, by the same rule; 0 (and absent): none is looked at. */
    categoryQueries?: number;
    /** Index recall@10 against exact, below which the build is refused. */
    minIndexRecall: number;
  };
}

/**
 * Recall@k per k, as `{"1": 0.91, ...}`, and mean average precision; a hit is an equal label. Without queries nothing was
 * measured: `recall` is empty and `mAP` null.
 */
export interface RetrievalQuality {
  numQueries: number;
  numCatalogue: number;
  recall: Record<string, number>;
  mAP: number | null;
}
