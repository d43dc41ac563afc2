import type { CropBox, PixelBox } from '../../contracts/crop.ts';
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

export interface EmbedRequest {
  kind: 'embed';
  model: ModelFiles;
  image: Uint8Array;
  seeds: (number | null)[];
  crop?: CropBox;
}

/** What one embedding thread is asked. */
export type ThreadRequest =
  EmbedRequest | { kind: 'applyHead'; model: ModelFiles; features: Float32Array; numRows: number };

export interface EmbedAnswer {
  vectors: Float32Array[];
  decodeMs: number;
  /** From pixels to the model's input. */
  preprocessMs: number;
  inferMs: number;
  /** What the crop of the request meant in this picture. */
  crop?: PixelBox;
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
