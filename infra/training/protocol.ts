import type { ErrorCode } from '../../contracts/errors.ts';
import type { JsonObject } from '../../contracts/json.ts';
import type { Config } from '../config/env.ts';

/** Parent to child. `attempt` grows with each start of the same work. */
export type ChildRequest<Input> = { type: 'start'; config: Config; input: Input; attempt: number } | { type: 'abort' };

/** Child to parent; `done` or `failed` is the last. */
export type ChildEvent<Output, Progress> =
  | { type: 'progress'; progress: Progress }
  | { type: 'done'; output: Output }
  | { type: 'failed'; code: ErrorCode | null; message: string; details: JsonObject };

/** The child's end of the pipe on which a thread of it says that the process runs, however long a step keeps the main thread. */
export const LIVENESS_FD = 4;
export const BEAT_EVERY_MS = 500;
