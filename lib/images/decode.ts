import sharp from 'sharp';
import type { Metadata, Sharp } from 'sharp';
import { LookalikeError, errorMessage } from '../../contracts/errors.ts';
import type { ImageFormat } from './format.ts';
import { IMAGE_FORMATS, sniffFormat } from './format.ts';
import { readPlainJpegSize } from './jpeg-header.ts';

/** Larger files are refused before they are opened. */
export const MAX_IMAGE_BYTES = 20 * 1024 * 1024;
/** Larger pictures (width x height) are refused by their header: a few bytes may claim gigabytes. */
export const MAX_IMAGE_PIXELS = 50_000_000;
/** Longer strips are refused: scaled to a model's input they would need more memory than any photo. */
export const MAX_ASPECT_RATIO = 50;
/** A decode that takes longer is given up. */
const DECODE_TIMEOUT_S = 30;

// Parallelism comes from decoding many pictures at once; threads inside one decode only add switching.
sharp.concurrency(1);
// Every picture is different, so libvips' operation cache would only hold memory.
sharp.cache(false);

/** A picture whose header was read and found acceptable. `width` and `height` are as seen, EXIF rotation applied. */
export interface OpenedImage {
  format: ImageFormat;
  width: number;
  height: number;
  bytes: Uint8Array;
}

/** Reads the header and applies every limit. @throws LookalikeError `imageRejected` | `unavailable` */
export async function openImage(bytes: Uint8Array): Promise<OpenedImage> {
  if (bytes.length === 0) throw rejected('Expected a picture, got zero bytes.');
  if (bytes.length > MAX_IMAGE_BYTES) {
    throw rejected(`Expected a picture of at most ${MAX_IMAGE_BYTES} bytes, got ${bytes.length}.`);
  }
  const format = sniffFormat(bytes);
  if (format === undefined) {
    throw rejected(
      `Expected ${IMAGE_FORMATS.join(', ')}; the file starts with ${startOf(bytes)}, which is none of them.`,
    );
  }
  const { width, height } = (format === 'jpeg' && readPlainJpegSize(bytes)) || (await readSize(format, bytes));
  if (width * height > MAX_IMAGE_PIXELS) {
    throw rejected(`Expected at most ${MAX_IMAGE_PIXELS} pixels, got ${width} x ${height} = ${width * height}.`);
  }
  if (Math.max(width, height) > MAX_ASPECT_RATIO * Math.min(width, height)) {
    throw rejected(`Expected sides of at most ${MAX_ASPECT_RATIO}:1, got ${width} x ${height}.`);
  }
  return { format, width, height, bytes };
}

/** 8-bit sRGB pixels, interleaved: `data.length === width * height * 3`. */
export interface Pixels {
  data: Buffer;
  width: number;
  height: number;
}

/**
 * The first frame as opaque 8-bit sRGB: turned upright, grey and CMYK and 16-bit converted, transparency laid on
 * `background`. `shape` adds resizing, so that a JPEG is decoded at the scale needed and no larger.
 * @throws LookalikeError `imageRejected` when the picture is damaged or cut off | `unavailable` no time or memory for it
 */
export async function decodePixels(
  image: OpenedImage,
  background: readonly [number, number, number],
  shape: (pipeline: Sharp) => Sharp,
): Promise<Pixels> {
  const [r, g, b] = background;
  const pipeline = shape(reader(image.bytes).autoOrient().flatten({ background: { r, g, b } }))
    .toColourspace('srgb')
    .timeout({ seconds: DECODE_TIMEOUT_S });
  const { data, info } = await decoding(image.format, () =>
    pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true }),
  );
  if (info.channels !== 3) {
    throw rejected(`Expected the ${image.format} picture to decode to 3 channels, got ${info.channels}.`);
  }
  return { data, width: info.width, height: info.height };
}

/** First page only; `error` refuses truncated data, but lives with harmless metadata warnings. */
function reader(bytes: Uint8Array): Sharp {
  return sharp(bytes, { failOn: 'error', limitInputPixels: MAX_IMAGE_PIXELS, page: 0, pages: 1, animated: false });
}

async function readSize(format: ImageFormat, bytes: Uint8Array): Promise<{ width: number; height: number }> {
  const header = await decoding(format, () => reader(bytes).metadata());
  // What libvips takes the file for must be what the signature says: no format gets in by another's signature.
  const actual = header.format === 'heif' && header.compression === 'av1' ? 'avif' : header.format;
  if (actual !== format) throw rejected(`Expected a ${format} picture by its first bytes, got ${actual}.`);
  return orientedSize(header);
}

function orientedSize(header: Metadata): { width: number; height: number } {
  const { width, height } = header.autoOrient;
  // Of an animation only the first frame counts.
  return { width, height: header.pageHeight !== undefined && header.pageHeight < height ? header.pageHeight : height };
}

async function decoding<T>(format: ImageFormat, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw decodingFailure(format, error);
  }
}

/** libvips tells these by text alone: its time limit, and any of its ways to get no memory. */
const NO_FAULT_OF_THE_PICTURE = /^timeout: \d+% complete|\bout of memory\b|\bbad_alloc\b|\bcannot allocate memory\b/im;

/** Whose fault a failed decode is: `unavailable` where this machine lacked time or memory, else `imageRejected`. */
export function decodingFailure(format: ImageFormat, error: unknown): LookalikeError {
  const message = errorMessage(error);
  const reason = message.split('\n')[0];
  return NO_FAULT_OF_THE_PICTURE.test(message)
    ? new LookalikeError(
        'unavailable',
        `Expected time and memory to decode a ${format} picture within ${DECODE_TIMEOUT_S} s: ${reason}. Try again when this machine has less to do.`,
        {},
        { cause: error },
      )
    : new LookalikeError(
        'imageRejected',
        `Expected a whole, undamaged ${format} picture: ${reason}.`,
        {},
        { cause: error },
      );
}

function rejected(message: string): LookalikeError {
  return new LookalikeError('imageRejected', message);
}

function startOf(bytes: Uint8Array): string {
  const start = bytes.subarray(0, 12);
  const text = String.fromCharCode(...start).replace(/[^\x20-\x7e]/g, '.');
  return `${Buffer.from(start).toString('hex')} ("${text}")`;
}
