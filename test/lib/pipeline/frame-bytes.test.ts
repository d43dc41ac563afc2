import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame } from '../../../lib/pipeline/frame-bytes.ts';
import { FRAME_KINDS } from '../../../lib/pipeline/link.ts';

describe('decodeFrame', () => {
  it('gives back what was encoded, of every kind', () => {
    for (const kind of FRAME_KINDS) {
      const frame = {
        kind,
        step: 2 ** 32 - 1,
        microBatch: 7,
        shape: [2, 1, 2],
        values: Float32Array.of(1, -0, NaN, 4),
      };
      expect(decodeFrame(...encodeFrame(frame))).toEqual(frame);
    }
  });

  it('refuses what is cut short, of an unknown kind, or of another size than its shape', () => {
    const of = () => encodeFrame({ kind: 'gradient', step: 1, microBatch: 0, shape: [3], values: new Float32Array(3) });
    const [heading, numbers] = of();
    expect(() => decodeFrame(heading.subarray(0, 11), numbers)).toThrow(/heading of a known kind, got 11 bytes/);
    expect(() => decodeFrame(heading.subarray(0, 12), numbers)).toThrow(/heading/);
    expect(() => decodeFrame(heading, numbers.subarray(4))).toThrow(/12 bytes for \[3\], got 8/);
    heading[0] = FRAME_KINDS.length;
    expect(() => decodeFrame(heading, numbers)).toThrow(/known kind/);
  });
});
