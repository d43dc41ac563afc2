import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { readPlainJpegSize } from '../../../lib/images/jpeg-header.ts';
import { gradient, plain } from './pictures.ts';

describe('readPlainJpegSize', () => {
  it.each([
    ['4:2:0', () => gradient(348, 211).jpeg()],
    ['4:4:4', () => gradient(17, 9).jpeg({ chromaSubsampling: '4:4:4' })],
    ['progressive', () => gradient(300, 1200).jpeg({ progressive: true })],
    ['grey', () => plain(40, 30).toColourspace('b-w').jpeg()],
  ])('says of a %s JPEG what the decoder says', async (_, encode) => {
    const bytes = await encode().toBuffer();
    const { width, height } = await sharp(bytes).metadata();
    expect(readPlainJpegSize(bytes)).toEqual({ width, height });
  });

  it.each([
    ['that EXIF turns', () => gradient(40, 30).withMetadata({ orientation: 6 }).jpeg()],
    ['with a colour profile', () => gradient(40, 30).withIccProfile('p3').jpeg()],
    ['in CMYK', () => plain(40, 30).toColourspace('cmyk').jpeg()],
  ])('leaves a JPEG %s to the decoder', async (_, encode) => {
    expect(readPlainJpegSize(await encode().toBuffer())).toBeUndefined();
  });

  it('says nothing of a header that is cut off', async () => {
    const bytes = await gradient(40, 30).jpeg().toBuffer();
    const startOfFrame = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
    for (let length = 0; length < startOfFrame + 10; length++) {
      expect(readPlainJpegSize(bytes.subarray(0, length))).toBeUndefined();
    }
  });

  it('lives with any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (rest) => {
        const found = readPlainJpegSize(Uint8Array.from([0xff, 0xd8, ...rest]));
        expect(found === undefined || (found.width > 0 && found.height > 0)).toBe(true);
      }),
    );
  });
});
