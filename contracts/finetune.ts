import type { LossConfig, TrainProgress } from './training.ts';

/** Training of the last stages of a backbone, with a head of its own on top; a new backbone comes of it. */
export interface FinetuneConfig {
  /** How many of the network's last blocks learn, besides its last convolution, 0…16; with 16 all of it. What is before is computed once. */
  blocks: number;
  /** Side of the pictures that are learnt from. Smaller is faster, and crops show products larger than whole pictures do. */
  size: number;
  /** Side of the pictures that the new backbone takes. */
  outputSize: number;
  /** Augmented views kept per picture, the plain one included. */
  views: number;
  /** Output dimension of the head. */
  dim: number;
  loss: LossConfig;
  /** Peak of the last stage, in units of each channel's weights: 0.001 moves them by about a thousandth a step. */
  learningRate: number;
  headLearningRate: number;
  /** The rate of each stage as a multiple of the one after it. */
  layerDecay: number;
  /** Draws the backbone back to where it started, the head to zero. */
  weightDecay: number;
  /** Linear for the backbone, none for the head; then cosine to zero at the last epoch. */
  warmupEpochs: number;
  epochs: number;
  /** Labels per batch x samples per label: class-balanced batches. */
  labelsPerBatch: number;
  samplesPerLabel: number;
  /** On the features, 0..1. */
  dropout: number;
  /** How much of the running mean of all weights stays at each step; the mean is what is published. */
  averaging: number;
  /** Share of the old weights in the published ones. */
  keep: number;
  checkpointEverySteps: number;
  seed: number;
}

export interface FinetuneInput {
  catalogue: string;
  snapshot: string;
  /** The backbone that it starts from. */
  backbone: string;
  config: FinetuneConfig;
}

export interface FinetuneOutput {
  /** Model artefact of stage `backbone`, exported to ONNX and checked against tfjs. */
  backbone: string;
  reused: boolean;
  metrics: Record<string, number>;
  /** Why nothing was learnt and `backbone` is the one that it was to start from. Absent otherwise. */
  untrained?: string;
}

/** One frame of live progress: what any training tells, and how far the frozen part has come before its first step. */
export interface FinetuneProgress extends TrainProgress {
  /** Pictures put through the frozen part, and how many there are. */
  prepared: number;
  toPrepare: number;
}
