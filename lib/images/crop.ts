import type { CropBox, PixelBox } from '../../contracts/crop.ts';

/** What rounding of shares may exceed the picture by. */
const SLACK = 1e-6;

/**
 * The pixels that a box means in a picture of a size, at least one each way; or what is wrong with it: that it leaves the picture, or is a
 * longer strip than `maxAspectRatio`. Runs in browsers too.
 */
export function planCrop(
  { unit, ...box }: CropBox,
  width: number,
  height: number,
  maxAspectRatio: number,
): PixelBox | { problem: string } {
  const isPixels = unit === 'pixel';
  const [right, bottom, slack] = isPixels ? [width, height, 0] : [1, 1, SLACK];
  const isWithin =
    Math.min(box.left, box.top) >= 0 &&
    Math.min(box.width, box.height) > 0 &&
    box.left + box.width <= right + slack &&
    box.top + box.height <= bottom + slack;
  if (!isWithin || (isPixels && !Object.values(box).every(Number.isInteger))) {
    const where = isPixels
      ? `in whole pixels of the upright picture, which is ${width} x ${height}`
      : 'in shares of the picture, 0 to 1';
    const got = `left ${box.left}, top ${box.top}, width ${box.width}, height ${box.height}`;
    return { problem: `Expected \`crop\` ${where}, got ${got}.` };
  }
  const [left, columns] = isPixels ? [box.left, box.width] : along(box.left, box.width, width);
  const [top, rows] = isPixels ? [box.top, box.height] : along(box.top, box.height, height);
  if (Math.max(columns, rows) > maxAspectRatio * Math.min(columns, rows)) {
    return {
      problem: `Expected \`crop\` to have sides of at most ${maxAspectRatio}:1, got ${columns} x ${rows} pixels.`,
    };
  }
  return { left, top, width: columns, height: rows };
}

/** From the nearest pixel edge to the nearest, but not onto the same. */
function along(start: number, share: number, size: number): [from: number, length: number] {
  const from = Math.min(Math.round(start * size), size - 1);
  const to = Math.min(size, Math.max(from + 1, Math.round((start + share) * size)));
  return [from, to - from];
}
