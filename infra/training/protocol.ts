import type { ErrorCode } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { TrainProgress } from '../../contracts/training.ts';
import type { TrainInput, TrainOutput } from '../../contracts/workflows.ts';
import type { Config } from '../config/env.ts';

/** Parent to child. */
export type TrainRequest = { type: 'start'; config: Config; input: TrainInput } | { type: 'abort' };

/** Child to parent; `done` or `failed` is the last. */
export type TrainEvent =
  | { type: 'progress'; progress: TrainProgress }
  | { type: 'done'; output: TrainOutput }
  | { type: 'failed'; code: ErrorCode | null; message: string; details: JsonObject };
