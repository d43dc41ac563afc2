import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLookalikeError } from '../../../contracts/errors.ts';
import { bytesOf, floatsOf } from '../../../lib/sync/float-bytes.ts';
import { decodeFrame, encodeHeader, FRAME_TYPES, HEADER_BYTES } from '../../../lib/sync/frames.ts';
import type { FrameHeader } from '../../../lib/sync/frames.ts';
import { ENCODINGS } from '../../../lib/sync/protocol.ts';

const word = fc.nat({ max: 0xffff_ffff });
const half = fc.nat({ max: 0xffff });
const double = fc.double({ noNaN: true });
const headers: fc.Arbitrary<FrameHeader> = fc.record({
  type: fc.constantFrom(...FRAME_TYPES),
  encoding: fc.constantFrom(...ENCODINGS),
  incarnation: word,
  shard: half,
  slice: half,
  step: word,
  version: word,
  sequence: word,
  numValues: word,
  learningRate: double,
  weight: double,
});
const bodies = fc.uint8Array({ maxLength: 200 });
const HEADER: FrameHeader = {
  type: 'push',
  encoding: 'none',
  incarnation: 3,
  shard: 1,
  slice: 2,
  step: 70_000,
  version: 69_999,
  sequence: 9,
  numValues: 3,
  learningRate: 0.1,
  weight: 24,
};
const BODY = bytesOf(Float32Array.of(1.5, -2, 1e-20));

describe('frames', () => {
  it('come back as they were, and the body is the very same memory', () => {
    fc.assert(
      fc.property(headers, bodies, (header, body) => {
        const frame = decodeFrame(encodeHeader(header, body, crc32), body, crc32);
        expect(frame).toEqual({ ...header, body });
        expect(frame.body).toBe(body);
      }),
    );
  });

  it('have the layout that is written down', () => {
    const bytes = encodeHeader(HEADER, BODY, crc32);
    const view = new DataView(bytes.buffer);
    expect(bytes).toHaveLength(64);
    expect(new TextDecoder().decode(bytes.subarray(0, 4))).toBe('LKSY');
    expect([...bytes.subarray(4, 8)]).toEqual([1, 1, 0, 0]);
    expect(view.getUint32(16, true)).toBe(70_000);
    expect(view.getFloat64(32, true)).toBe(0.1);
    expect(view.getUint32(48, true)).toBe(12);
    expect(view.getUint32(52, true)).toBe(crc32(BODY));
  });

  it('are refused with a domain error after any change of any byte', () => {
    const whole = Buffer.concat([encodeHeader(HEADER, BODY, crc32), BODY]);
    for (let at = 0; at < whole.length; at++) {
      for (const flip of [1, 0x80, 0xff]) {
        const changed = Uint8Array.from(whole);
        changed[at]! ^= flip;
        expect(() => decodeFrame(changed.subarray(0, HEADER_BYTES), changed.subarray(HEADER_BYTES), crc32)).toThrow(
          expect.objectContaining({ name: 'LookalikeError' }),
        );
      }
    }
  });

  it('are refused with a domain error, whatever the bytes, whatever the length', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 130 }), fc.nat({ max: 80 }), fc.boolean(), (noise, cut, isPlausible) => {
        if (isPlausible) noise.set(encodeHeader(HEADER, BODY, crc32).subarray(0, Math.min(56, noise.length)));
        try {
          decodeFrame(noise.subarray(0, cut), noise.subarray(cut), crc32);
          expect.unreachable('noise was taken for a frame');
        } catch (error) {
          if (!isLookalikeError(error)) throw error;
          expect(['invalidInput', 'corruptArtifact']).toContain(error.code);
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each<[string, (header: Uint8Array) => void]>([
    ['an absurd length', (header) => new DataView(header.buffer).setUint32(48, 0xffff_fff0, true)],
    ['an unknown type', (header) => (header[5] = 200)],
    ['an unknown encoding', (header) => (header[6] = 200)],
    ['another format', (header) => (header[4] = 9)],
  ])('with %s are refused even when the checksum is right', (_, spoil) => {
    const header = encodeHeader(HEADER, BODY, crc32);
    spoil(header);
    new DataView(header.buffer).setUint32(60, crc32(header.subarray(0, 60)), true);
    expect(() => decodeFrame(header, BODY, crc32)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });

  it.each([{ step: -1 }, { step: 2 ** 32 }, { slice: 70_000 }, { sequence: 0.5 }])('cannot be made of %j', (wrong) => {
    expect(() => encodeHeader({ ...HEADER, ...wrong }, BODY, crc32)).toThrow(
      expect.objectContaining({ code: 'invalidInput' }),
    );
  });
});

describe('floatsOf', () => {
  it('is a view where the bytes are aligned and a copy where they are not', () => {
    const bytes = new Uint8Array(13);
    bytes.set(BODY, 1);
    expect([...floatsOf(bytes, 1)]).toEqual([...floatsOf(BODY)]);
    expect(floatsOf(bytes, 1).buffer).not.toBe(bytes.buffer);
    expect(floatsOf(BODY).buffer).toBe(BODY.buffer);
  });
});
