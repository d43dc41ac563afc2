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

/** A plain JPEG that is to be turned right for viewing, as its EXIF says, which stands just before the pixels. */
export async function exifBehindTheSize(picture: Sharp): Promise<Buffer> {
  const plainJpeg = await picture.clone().jpeg({ quality: 100 }).toBuffer();
  // Also holds a colour profile, which would make it anything but plain.
  const turned = await picture.clone().withMetadata({ orientation: 6 }).jpeg().toBuffer();
  const exif = turned.indexOf(Buffer.from([0xff, 0xe1]));
  const scan = plainJpeg.indexOf(Buffer.from([0xff, 0xda]));
  return Buffer.concat([
    plainJpeg.subarray(0, scan),
    turned.subarray(exif, exif + 2 + turned.readUInt16BE(exif + 2)),
    plainJpeg.subarray(scan),
  ]);
}
