import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createEncoder, decodeGradient, encodedBytes } from '../../../../lib/sync/compression/index.ts';
import type { Compression } from '../../../../lib/sync/compression/index.ts';
import { decodeHalves, encodeHalves } from '../../../../lib/sync/compression/fp16.ts';
import { normals, randomOf } from '../../../../lib/train/random.ts';

const ALL: Compression[] = [{ kind: 'none' }, { kind: 'fp16' }, { kind: 'topK', share: 0.1 }, { kind: 'oneBit' }];
const FEEDBACK: Compression[] = [{ kind: 'topK', share: 0.05 }, { kind: 'oneBit' }];
const finite = fc.float({ noNaN: true, noDefaultInfinity: true, min: -1e6, max: 1e6 });
const gradients = fc.float32Array({
  minLength: 1,
  maxLength: 1200,
  noNaN: true,
  noDefaultInfinity: true,
  min: -1e6,
  max: 1e6,
});

const sent = (
  compression: Compression,
  gradient: Float32Array,
): { decoded: Float32Array; residual: Float32Array | null } => {
  const encoder = createEncoder(compression, gradient.length);
  const bytes = encoder.encode(gradient);
  expect(bytes).toHaveLength(encodedBytes(compression, gradient.length));
  return { decoded: decodeGradient(encoder.encoding, bytes, gradient.length), residual: encoder.residual() };
};

describe.each(ALL)('compression $kind', (compression) => {
  it('has the size that is stated, reads the same at any alignment, and leaves the gradient alone', () => {
    fc.assert(
      fc.property(gradients, (gradient) => {
        const encoder = createEncoder(compression, gradient.length);
        const before = gradient.slice();
        const bytes = encoder.encode(gradient);
        expect(bytes).toHaveLength(encodedBytes(compression, gradient.length));
        expect(gradient).toEqual(before);
        const shifted = new Uint8Array(bytes.length + 3);
        shifted.set(bytes, 3);
        expect(decodeGradient(encoder.encoding, shifted.subarray(3), gradient.length)).toEqual(
          decodeGradient(encoder.encoding, bytes, gradient.length),
        );
      }),
      { numRuns: 40 },
    );
  });

  it('refuses NaN, infinity and another length, and goes on as if they had not come', () => {
    const good = normals(600, randomOf('good'));
    const encoder = createEncoder(compression, 600);
    for (const bad of [NaN, Infinity, -Infinity]) {
      expect(() => encoder.encode(good.with(7, bad))).toThrow(expect.objectContaining({ code: 'nonFinite' }));
    }
    expect(() => encoder.encode(good.subarray(1))).toThrow(expect.objectContaining({ code: 'dimensionMismatch' }));
    expect(encoder.encode(good)).toEqual(createEncoder(compression, 600).encode(good));
  });

  it('refuses bytes of another length', () => {
    const bytes = createEncoder(compression, 600).encode(normals(600, randomOf('good')));
    for (const wrong of [bytes.subarray(1), bytes.subarray(0, bytes.length - 1)]) {
      expect(() => decodeGradient(compression.kind, wrong, 600)).toThrow(
        expect.objectContaining({ code: 'invalidInput' }),
      );
    }
    expect(() => decodeGradient(compression.kind, bytes, 10)).toThrow(
      expect.objectContaining({ code: 'invalidInput' }),
    );
  });
});

describe('none', () => {
  it('is the gradient itself, uncopied', () => {
    const gradient = normals(50, randomOf('plain'));
    const bytes = createEncoder({ kind: 'none' }, 50).encode(gradient);
    expect(decodeGradient('none', bytes, 50).buffer).toBe(gradient.buffer);
  });
});

describe('fp16', () => {
  it('rounds to nearest even as the machine does', () => {
    // 2^14 fixes the scale at one: the halves are then those of the values themselves.
    const ties = [
      1 + 2 ** -11,
      1 + 3 * 2 ** -11,
      2 ** -24,
      2 ** -25,
      3 * 2 ** -25,
      2 ** -14 - 2 ** -25,
      2 ** -30,
      -0,
      0,
    ];
    fc.assert(
      fc.property(fc.array(fc.oneof(finite, fc.constantFrom(...ties, ...ties.map((tie) => -tie)))), (values) => {
        const wanted = values.map((value) => (Math.abs(value) >= 2 ** 14 ? 1 : Math.fround(value)));
        const decoded = decodeHalves(encodeHalves(Float32Array.of(2 ** 14, ...wanted)), wanted.length + 1);
        expect([...decoded.subarray(1)]).toEqual(wanted.map(nearestHalf));
      }),
      { numRuns: 300 },
    );
  });

  it('keeps eleven bits of gradients of any size, where a plain half has none left', () => {
    fc.assert(
      fc.property(gradients, fc.integer({ min: -100, max: 60 }), (gradient, exponent) => {
        const scaled = gradient.map((value) => value * 2 ** exponent);
        const { decoded } = sent({ kind: 'fp16' }, scaled);
        const largest = scaled.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        scaled.forEach((value, i) => {
          const allowed = Math.max(Math.abs(value) * 2 ** -11, largest * 2 ** -38, 2 ** -149);
          expect(Math.abs(decoded[i]! - value)).toBeLessThanOrEqual(allowed);
        });
      }),
      { numRuns: 60 },
    );
  });

  it('refuses a scale that is no scale', () => {
    const bytes = encodeHalves(Float32Array.of(1, 2));
    new DataView(bytes.buffer).setFloat32(0, -1, true);
    expect(() => decodeHalves(bytes, 2)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});

describe('topK', () => {
  it('sends exactly the largest, the first of equals, and what it sends and keeps is the input exactly', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          gradients,
          gradients.map((g) => g.map((v) => Math.sign(v))),
        ),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (gradient, share) => {
          const { decoded, residual } = sent({ kind: 'topK', share }, gradient);
          const wanted = [...gradient.keys()]
            .sort((a, b) => Math.abs(gradient[b]!) - Math.abs(gradient[a]!) || a - b)
            .slice(0, Math.ceil(share * gradient.length));
          const expected = new Float32Array(gradient.length);
          for (const i of wanted) expected[i] = gradient[i]!;
          expect([...decoded].map((v) => v + 0)).toEqual([...expected].map((v) => v + 0));
          expect(decoded.map((value, i) => value + residual![i]! + 0)).toEqual(gradient.map((value) => value + 0));
        },
      ),
    );
  });

  it('refuses positions that do not ascend or lie outside', () => {
    for (const positions of [
      [3, 3],
      [4, 2],
      [0, 10],
    ]) {
      const bytes = new Uint8Array(16);
      new Uint32Array(bytes.buffer).set(positions);
      expect(() => decodeGradient('topK', bytes, 10)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
    }
  });

  it.each([0, -1, 1.5, NaN])('refuses a share of %d', (share) => {
    expect(() => createEncoder({ kind: 'topK', share }, 10)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});

describe('oneBit', () => {
  it('sends of each block the means of both signs, and keeps the rest within one rounding', () => {
    fc.assert(
      fc.property(gradients, (gradient) => {
        const { decoded, residual } = sent({ kind: 'oneBit' }, gradient);
        for (let start = 0; start < gradient.length; start += 512) {
          const block = gradient.subarray(start, start + 512);
          for (const isBelow of [true, false]) {
            const group = [...block].filter((value) => value < 0 === isBelow);
            const mean = Math.fround(group.reduce((sum, value) => sum + value, 0) / group.length);
            block.forEach((value, i) => value < 0 === isBelow && expect(decoded[start + i]! + 0).toBe(mean + 0));
          }
        }
        gradient.forEach((value, i) => {
          const slack = 2 ** -23 * Math.max(Math.abs(value), Math.abs(decoded[i]!));
          expect(Math.abs(decoded[i]! + residual![i]! - value)).toBeLessThanOrEqual(slack);
        });
      }),
      { numRuns: 60 },
    );
  });
});

describe.each(FEEDBACK)('error feedback of $kind', (compression) => {
  const [length, numSteps] = [700, 400];
  const drift = normals(length, randomOf('drift'));
  const gradientOf = (step: number): Float32Array =>
    normals(length, randomOf('noise', step)).map((value, i) => value + drift[i]!);

  function run(from: number, to: number, residual?: Float32Array): { sums: Float64Array; residual: Float32Array } {
    const encoder = createEncoder(compression, length, residual);
    const sums = new Float64Array(length);
    for (let step = from; step < to; step++) {
      decodeGradient(encoder.encoding, encoder.encode(gradientOf(step)), length).forEach(
        (value, i) => (sums[i]! += value),
      );
    }
    return { sums, residual: encoder.residual()! };
  }

  it('lets the sum of what arrives follow the true sum: what is missing is the residual, which stays bounded', () => {
    const truth = new Float64Array(length);
    for (let step = 0; step < numSteps; step++) gradientOf(step).forEach((value, i) => (truth[i]! += value));
    const { sums, residual } = run(0, numSteps);
    const norm = (values: Float64Array | Float32Array): number => Math.hypot(...values);
    // Float32 rounding of a residual of about 100, 400 times.
    sums.forEach((sum, i) => expect(Math.abs(sum + residual[i]! - truth[i]!)).toBeLessThan(0.02));
    expect(norm(residual)).toBeLessThan(0.25 * norm(truth));
    const half = run(0, numSteps / 2).residual;
    expect(norm(residual)).toBeLessThan(1.5 * norm(half));
  });

  it('goes on from a residual as if it had not been interrupted', () => {
    const whole = run(0, 20);
    const first = run(0, 10);
    const second = run(10, 20, first.residual);
    expect(second.residual).toEqual(whole.residual);
  });
});

/** By the definition: of the two neighbours the nearer, of equally near ones the even. */
function nearestHalf(value: number): number {
  const magnitude = Math.abs(value);
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  const unit = 2 ** (exponent - 10);
  const below = Math.floor(magnitude / unit);
  const rest = magnitude / unit - below;
  const isUp = rest > 0.5 || (rest === 0.5 && below % 2 === 1);
  return Math.sign(value) * (below + (isUp ? 1 : 0)) * unit;
}
