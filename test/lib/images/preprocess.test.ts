import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import type { Preprocessing } from '../../../contracts/model.ts';
import { preprocess, preprocessViews } from '../../../lib/images/preprocess.ts';
import { ORANGE, exifBehindTheSize, gradient, plain } from './pictures.ts';

const P: Preprocessing = {
  resizeShorterSide: 256,
  size: 224,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  background: [255, 255, 255],
};
const AREA = P.size * P.size;

/** The three channels at a place of the model's input; mean 0 and std 1 leave the pixel's values. */
function pixel(tensor: Float32Array, x: number, y: number): [number, number, number] {
  const at = y * P.size + x;
  return [tensor[at]!, tensor[AREA + at]!, tensor[2 * AREA + at]!];
}
function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  Array.from(actual).forEach((value, i) => expect(Math.abs(value - expected[i]!)).toBeLessThanOrEqual(tolerance));
}

describe('preprocess', () => {
  it('gives channels, rows, columns, normalised per channel', async () => {
    const p: Preprocessing = { ...P, mean: [100, 50, 0], std: [2, 5, 10] };
    const tensor = await preprocess(await plain().png().toBuffer(), p);
    expect(tensor.length).toBe(3 * AREA);
    expect(pixel(tensor, 10, 200)).toEqual([50, 10, 5]);
  });

  it.each([
    [900, 600],
    [600, 900],
    [700, 511],
    [512, 512],
    [348, 348],
    [3000, 90],
    [120, 80],
    [64, 64],
  ])('cuts the centre of a %i x %i picture, whether it shrinks or grows', async (width, height) => {
    const tensor = await preprocess(await gradient(width, height).png().toBuffer(), P);
    const scale = P.resizeShorterSide / Math.min(width, height);
    const expected = (x: number, size: number): number =>
      (255 * ((x + 0.5 + (size * scale - P.size) / 2) / scale - 0.5)) / (size - 1);
    for (const [x, y] of [
      [3, 5],
      [112, 112],
      [220, 210],
    ] as const) {
      expectNear(pixel(tensor, x, y), [expected(x, width), expected(y, height), 80], 1.6);
    }
  });

  it('normalises alike whichever way a picture is scaled', async () => {
    const p: Preprocessing = { ...P, mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] };
    const [small, medium, large] = await Promise.all(
      [100, 400, 900].map(async (side) => preprocess(await plain(side, side).png().toBuffer(), p)),
    );
    expect(medium).toEqual(small);
    expect(large).toEqual(small);
  });

  it('turns a picture upright as its EXIF orientation says', async () => {
    const upright = await gradient(400, 300).png().toBuffer();
    // Orientation 6: stored turned 90 degrees to the left, to be turned right for viewing.
    const turned = await sharp(upright).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer();
    const [expected, actual] = await Promise.all([preprocess(upright, P), preprocess(turned, P)]);
    expectNear(actual, expected, 1);
  });

  it('turns it also where the EXIF stands behind the size', async () => {
    const stored = gradient(400, 300);
    const [expected, actual] = await Promise.all([
      preprocess(await stored.clone().rotate(90).png().toBuffer(), P),
      preprocess(await exifBehindTheSize(stored), P),
    ]);
    expectNear(actual, expected, 4);
  });

  it.each([
    ['16-bit', () => plain().toColourspace('rgb16').png(), 1],
    ['16-bit with alpha', () => plain().ensureAlpha().toColourspace('rgb16').png(), 1],
    ['CMYK', () => plain().toColourspace('cmyk').jpeg({ quality: 100 }), 40],
    ['AVIF', () => plain().avif(), 3],
    ['WebP', () => plain().webp(), 3],
  ])('gives 8-bit sRGB for %s', async (_, encode, tolerance) => {
    const tensor = await preprocess(await encode().toBuffer(), P);
    expectNear(pixel(tensor, 100, 100), [ORANGE.r, ORANGE.g, ORANGE.b], tolerance);
  });

  it.each(['b-w', 'grey16'])('gives three equal channels for %s', async (space) => {
    const tensor = await preprocess(await plain().toColourspace(space).png().toBuffer(), P);
    const [r, g, b] = pixel(tensor, 100, 100);
    expect([g, b]).toEqual([r, r]);
    expect(r).toBeGreaterThan(100);
    expect(r).toBeLessThan(150);
  });

  it('lays transparency on the background', async () => {
    const background = { ...ORANGE, alpha: 0.5 };
    const bytes = await sharp({ create: { width: 300, height: 300, channels: 4, background } })
      .png()
      .toBuffer();
    const tensor = await preprocess(bytes, { ...P, background: [0, 0, 0] });
    expectNear(pixel(tensor, 50, 50), [100, 50, 25], 1.5);
  });

  it('shows the first frame of an animation', async () => {
    const frames = await Promise.all([plain(), plain().negate()].map((frame) => frame.png().toBuffer()));
    const bytes = await sharp(frames, { join: { animated: true } })
      .webp({ lossless: true })
      .toBuffer();
    expectNear(pixel(await preprocess(bytes, P), 9, 9), [ORANGE.r, ORANGE.g, ORANGE.b], 1);
  });
});

describe('views', () => {
  it('are a function of the seed alone', async () => {
    const bytes = await gradient(400, 300).png().toBuffer();
    const [first, again, other] = await Promise.all([7, 7, 8].map((seed) => preprocess(bytes, P, { seed })));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it('are the same one by one and together, and leave the plain view alone', async () => {
    const bytes = await gradient(400, 300).jpeg().toBuffer();
    const together = await preprocessViews(bytes, P, [null, 1, 2]);
    const alone = [
      await preprocess(bytes, P),
      await preprocess(bytes, P, { seed: 1 }),
      await preprocess(bytes, P, { seed: 2 }),
    ];
    expect(together).toEqual(alone);
  });

  it('still show the same product: colours stay near', async () => {
    const bytes = await plain().png().toBuffer();
    for (let seed = 0; seed < 20; seed++) {
      const [r, g, b] = pixel(await preprocess(bytes, P, { seed }), 112, 112);
      expect(r).toBeGreaterThan(g);
      expect(g).toBeGreaterThan(b);
    }
  });

  it('of a part equal those of a picture of that part, turned upright first', async () => {
    const upright = await gradient(640, 480).png().toBuffer();
    const turned = await sharp(upright).rotate(270).withMetadata({ orientation: 6 }).png().toBuffer();
    for (const box of [
      { left: 100, top: 40, width: 250, height: 230 },
      { left: 10, top: 0, width: 600, height: 480 },
      { left: 639, top: 479, width: 1, height: 1 },
    ]) {
      const part = await sharp(upright).extract(box).png().toBuffer();
      const expected = await preprocess(part, P);
      for (const bytes of [upright, turned]) {
        expect(await preprocess(bytes, P, undefined, { ...box, unit: 'pixel' })).toEqual(expected);
      }
      const relative = {
        ...{ left: box.left / 640, top: box.top / 480, unit: 'relative' as const },
        ...{ width: box.width / 640, height: box.height / 480 },
      };
      expect(await preprocess(turned, P, undefined, relative)).toEqual(expected);
    }
  });
});
