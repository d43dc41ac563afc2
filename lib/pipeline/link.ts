import { LookalikeError } from '../../contracts/errors.ts';

/** What machines that share one model say to each other. */
export const FRAME_KINDS = [
  /** A micro-batch's values at a cut, to the machine after it. */
  'activation',
  /** The loss's gradient by those values, back. */
  'gradient',
  /** Of a split classifier, to its root: per row the block's largest logit, its sum of exponentials, and the own label's logit. */
  'statistics',
  /** Of a split classifier, from its root: per row the logarithm of the sum over all blocks. */
  'logPartition',
  /** A chunk of parameters or moments, `microBatch` its number; empty when sent back to say that it was taken. */
  'state',
  /** Of a step, to the lead. */
  'loss',
  /** Before an epoch, from the lead: 1 to go on, 0 where the run is over. */
  'verdict',
] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

export interface TensorFrame {
  kind: FrameKind;
  step: number;
  microBatch: number;
  shape: readonly number[];
  /** Row-major; owned by whoever receives it. */
  values: Float32Array;
}

/** One end of an ordered, lossless connection between two machines. */
export interface Link {
  /** Resolves once the frame may be forgotten. @throws LookalikeError `unavailable` when the other end is gone */
  send(frame: TensorFrame): Promise<void>;
  /** The next frame. @throws LookalikeError `unavailable` when the other end is gone */
  receive(): Promise<TensorFrame>;
}

/** The next frame's values, which must be what the schedule says comes next. @throws LookalikeError `conflict`, as {@link Link} */
export async function receiveExpected(link: Link, expected: Omit<TensorFrame, 'values'>): Promise<Float32Array> {
  const frame = await link.receive();
  const told = ({ kind, step, microBatch, shape }: Omit<TensorFrame, 'values'>): string =>
    `${kind} [${shape.join(', ')}] of micro-batch ${microBatch} of step ${step}`;
  if (told(frame) !== told(expected)) {
    throw new LookalikeError(
      'conflict',
      `Expected ${told(expected)}, got ${told(frame)}: both ends of a link must run one model, cut and step. Start all stages ` +
        'from one checkpoint.',
    );
  }
  return frame.values;
}
