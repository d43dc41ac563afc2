import type { ErrorCode } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';

/** Files of one model on this machine; `head` null: the backbone's raw features are the answer. */
export interface ModelFiles {
  backbone: string;
  head: string | null;
  preprocessing: Preprocessing;
  featureDim: number;
  dim: number;
}

/** What one embedding thread is asked. */
export type ThreadRequest =
  | { kind: 'embed'; model: ModelFiles; image: Uint8Array; seeds: (number | null)[] }
  | { kind: 'applyHead'; model: ModelFiles; features: Float32Array; numRows: number };

export interface EmbedAnswer {
  vectors: Float32Array[];
  decodeMs: number;
  inferMs: number;
}

/** What it answers. `rejected` is the picture's fault, `failed` is not. */
export type ThreadAnswer =
  | { kind: 'embedded'; answer: EmbedAnswer }
  | { kind: 'headApplied'; vectors: Float32Array }
  | { kind: 'rejected'; reason: string }
  | { kind: 'failed'; code: ErrorCode; message: string };

export interface RequestMessage {
  id: number;
  request: ThreadRequest;
}
/** Said once, when the thread has loaded everything it needs: what it dies of before is no picture's fault. */
export interface ReadyMessage {
  ready: true;
}
export interface AnswerMessage {
  id: number;
  answer: ThreadAnswer;
}
