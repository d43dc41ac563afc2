import { InvalidArgumentError } from 'commander';
import type { CropBox } from '../contracts/crop.ts';

/** `--crop`: `0.2,0.1,0.5,0.6` in shares of the picture, `40,60,200,200px` in pixels. */
export function cropBox(text: string): CropBox {
  const isPixels = text.endsWith('px');
  const parts = (isPixels ? text.slice(0, -2) : text)
    .split(',')
    .map((part) => (part.trim() === '' ? NaN : Number(part)));
  const [left, top, width, height] = parts;
  if (parts.length !== 4 || !parts.every((value) => Number.isFinite(value) && value >= 0)) {
    throw new InvalidArgumentError(
      `Expected left,top,width,height in shares of the picture (0.2,0.1,0.5,0.6) or in pixels (40,60,200,200px), got "${text}".`,
    );
  }
  return { left: left!, top: top!, width: width!, height: height!, unit: isPixels ? 'pixel' : 'relative' };
}
