import { describe, expect, it } from 'vitest';
import type { Preprocessing } from '../../../contracts/model.ts';
import type { Pixels } from '../../../lib/images/decode.ts';
import { randomFrom } from '../../../lib/images/random.ts';
import { resample } from '../../../lib/images/resample.ts';
import { WEIGHT_ONE, planResample } from '../../../lib/images/resample-plan.ts';

/** Leaves the values of the picture. */
const BYTES: Pick<Preprocessing, 'mean' | 'std'> = { mean: [0, 0, 0], std: [1, 1, 1] };

/** Noise: the hardest to interpolate, and any mistaken place shows. */
function noise(width: number, height: number, seed: number): Pixels {
  const random = randomFrom(seed);
  return { data: Buffer.from(Array.from({ length: width * height * 3 }, () => random() * 256)), width, height };
}

function view(picture: Pixels, shorterSide: number, size: number): Float32Array {
  const plan = planResample(picture.width, picture.height, shorterSide, size);
  const { rows, columns } = plan;
  const data = Buffer.concat(
    Array.from({ length: rows.length }, (_, y) => {
      const start = ((rows.first + y) * picture.width + columns.first) * 3;
      return picture.data.subarray(start, start + columns.length * 3);
    }),
  );
  const tensor = new Float32Array(3 * size * size);
  resample({ data, width: columns.length, height: rows.length }, plan, BYTES, tensor);
  return tensor;
}

/** The definition in real numbers: one value of the view. */
function exactValue(picture: Pixels, shorterSide: number, size: number, at: [number, number, number]): number {
  const [channel, y, x] = at;
  const scale = shorterSide / Math.min(picture.width, picture.height);
  const weightsAlong = (source: number, i: number): Map<number, number> => {
    const scaled = Math.round(source * scale);
    const stretch = Math.max(source / scaled, 1);
    const position = ((i + Math.floor((scaled - size) / 2) + 0.5) * source) / scaled - 0.5;
    const weights = new Map<number, number>();
    for (let from = Math.ceil(position - 2 * stretch); from <= position + 2 * stretch; from++) {
      const inside = Math.min(Math.max(from, 0), source - 1);
      weights.set(inside, (weights.get(inside) ?? 0) + bicubic(Math.abs(from - position) / stretch));
    }
    return weights;
  };
  let sum = 0;
  let total = 0;
  for (const [row, byRow] of weightsAlong(picture.height, y)) {
    for (const [column, byColumn] of weightsAlong(picture.width, x)) {
      sum += byRow * byColumn * picture.data[(row * picture.width + column) * 3 + channel]!;
      total += byRow * byColumn;
    }
  }
  return Math.min(Math.max(sum / total, 0), 255);
}

function bicubic(d: number): number {
  if (d <= 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
  return d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
}

describe('resample', () => {
  it.each([
    [48, 48, 32, 28],
    [61, 33, 32, 28],
    [33, 61, 32, 32],
    [9, 7, 32, 28],
    [1, 1, 32, 28],
    [200, 64, 40, 25],
  ])(
    'gives the nearest whole value of bicubic interpolation: %i x %i to %i, cut to %i',
    (width, height, shorter, size) => {
      const picture = noise(width, height, 3);
      const tensor = view(picture, shorter, size);
      for (let channel = 0; channel < 3; channel++) {
        for (let y = 0; y < size; y++) {
          for (let x = 0; x < size; x++) {
            const exact = exactValue(picture, shorter, size, [channel, y, x]);
            // Half from rounding; the rest from weights and values between the passes, which are whole numbers too.
            expect(Math.abs(tensor[(channel * size + y) * size + x]! - exact)).toBeLessThan(0.55);
          }
        }
      }
    },
  );

  it('depends on nothing that was scaled before', () => {
    const first = view(noise(50, 40, 1), 32, 28);
    view(noise(300, 200, 2), 150, 140);
    expect(view(noise(50, 40, 1), 32, 28)).toEqual(first);
  });

  it('has weights that add up to one, within the picture', () => {
    for (const [source, other] of [
      [348, 348],
      [511, 700],
      [3, 90],
    ] as const) {
      const { columns } = planResample(source, other, 256, 224);
      for (let i = 0; i < 224; i++) {
        const weights = columns.weights.subarray(i * columns.taps, (i + 1) * columns.taps);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBe(WEIGHT_ONE);
        weights.forEach((weight, tap) => {
          if (weight !== 0) expect(columns.starts[i]! + tap).toBeLessThan(columns.length);
        });
      }
      expect(columns.first + columns.length).toBeLessThanOrEqual(source);
    }
  });
});
