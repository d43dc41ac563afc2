import type { ErrorCode } from '../../contracts/errors.ts';
import type { PipelineShape } from '../../lib/pipeline/schedule.ts';
import type { ModelSpec } from '../../lib/pipeline/task.ts';
import type { OptimizerConfig } from '../../lib/sync/protocol.ts';
import type { Config } from '../config/env.ts';
import type { LinkTraffic } from './wire-link.ts';

/** A training run that is the same whoever computes which part of it. */
export interface PipelineJob {
  model: ModelSpec;
  /** Where each stage but the first begins: names of layers, or of the loss. */
  firstLayers: readonly string[];
  pipeline: PipelineShape;
  optimizer: OptimizerConfig;
  learningRate: number;
  numRows: number;
  numSteps: number;
  seed: number;
}

export type StageConfig = Pick<Config, 'backend' | 'cacheDir' | 'dataPlane'>;

/** Parent to child, in this order. */
export type StageRequest =
  | { type: 'load'; config: StageConfig; job: PipelineJob; stage: number; run: string }
  /** Whatever limit there is holds by now. */
  | { type: 'run'; previousUrl: string | null };

export interface StageReport {
  backend: string;
  parameterBytes: number;
  /** With the runtime loaded, before anything of the model. */
  baseRssBytes: number;
  peakRssBytes: number;
  /** Of all steps together. */
  previous: LinkTraffic | null;
  next: LinkTraffic | null;
}

/** Child to parent; `done` or `failed` is the last. */
export type StageEvent =
  /** The runtime is there and nothing of the model yet. Where the next stage connects; null of the last one. */
  | { type: 'loaded'; url: string | null }
  /** From the stage with the loss. */
  | { type: 'step'; step: number; loss: number }
  | { type: 'done'; report: StageReport }
  | { type: 'failed'; code: ErrorCode | null; message: string };
