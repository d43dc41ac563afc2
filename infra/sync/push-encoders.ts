import { createEncoder } from '../../lib/sync/compression/index.ts';
import type { Compression, GradientEncoder } from '../../lib/sync/compression/index.ts';
import type { Encoding, Push } from '../../lib/sync/protocol.ts';

/** One shard's part of a gradient, as it travels. */
export interface EncodedPart {
  encoding: Encoding;
  bytes: Uint8Array;
}

/** What turns gradients into bytes, and what it left out of them: outlives the client of one incarnation. */
export interface PushEncoders {
  /**
   * One part for each range. A push that is repeated within its incarnation gets the bytes that it had.
   * @throws LookalikeError `nonFinite` | `dimensionMismatch`
   */
  encode(push: Pick<Push, 'slice' | 'step' | 'gradient'>, incarnation: number): readonly EncodedPart[];
}

export function createPushEncoders(
  compression: Compression,
  ranges: readonly { start: number; end: number }[],
): PushEncoders {
  const slices = new Map<number, { encoders: GradientEncoder[]; key: string; parts: EncodedPart[] }>();
  return {
    encode({ slice, step, gradient }, incarnation) {
      let own = slices.get(slice);
      if (own === undefined) {
        const encoders = ranges.map(({ start, end }) => createEncoder(compression, end - start));
        slices.set(slice, (own = { encoders, key: '', parts: [] }));
      }
      const key = `${incarnation}/${step}`;
      // What travels as it is shares the gradient's memory: there is nothing to remember, and it may hold another gradient by now.
      if (own.key !== key || compression.kind === 'none') {
        own.parts = own.encoders.map((encoder, i) => {
          const { start, end } = ranges[i]!;
          return { encoding: encoder.encoding, bytes: encoder.encode(gradient.subarray(start, end)) };
        });
        own.key = key;
      }
      return own.parts;
    },
  };
}
