import sharp from 'sharp';
import type { Sharp } from 'sharp';

export const ORANGE = { r: 200, g: 100, b: 50 };

/** A plain orange picture to encode in whatever way a test needs. */
export function plain(width = 300, height = 280): Sharp {
  return sharp({ create: { width, height, channels: 3, background: ORANGE } });
}

/** Smooth colours that differ at every corner, so that a turned or shifted picture is noticed. */
export function gradient(width: number, height: number): Sharp {
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[(y * width + x) * 3] = Math.round((255 * x) / (width - 1));
      data[(y * width + x) * 3 + 1] = Math.round((255 * y) / (height - 1));
      data[(y * width + x) * 3 + 2] = 80;
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } });
}
