import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { openImage } from '../../../lib/images/decode.ts';
import { readPlainJpegSize } from '../../../lib/images/jpeg-header.ts';
import { exifBehindTheSize, gradient, plain } from './pictures.ts';

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
    const startOfScan = bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xda);
    for (let length = 0; length < startOfScan + 4; length++) {
      expect(readPlainJpegSize(bytes.subarray(0, length))).toBeUndefined();
    }
    expect(readPlainJpegSize(bytes.subarray(0, startOfScan + 4))).toEqual({ width: 40, height: 30 });
  });

  it('leaves a JPEG to the decoder that EXIF behind the size turns, which is then read upright', async () => {
    const bytes = await exifBehindTheSize(gradient(400, 300));
    expect(readPlainJpegSize(bytes)).toBeUndefined();
    expect(await openImage(bytes)).toMatchObject({ width: 300, height: 400 });
  });

  it('lives with any segments of any stated length', () => {
    const marker = fc.constantFrom(0xc0, 0xc2, 0xc4, 0xda, 0xdb, 0xe0, 0xe1, 0xfe, 0xff);
    const segment = fc.tuple(marker, fc.nat(20), fc.uint8Array({ maxLength: 16 }));
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const rest = segments.flatMap(([kind, length, body]) => [0xff, kind, 0, length, ...body]);
        const found = readPlainJpegSize(Uint8Array.from([0xff, 0xd8, ...rest]));
        expect(found === undefined || (found.width > 0 && found.height > 0)).toBe(true);
      }),
      { seed: 1 },
    );
  });
});
