import { deflateSync, crc32 } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { MAX_IMAGE_BYTES, decodingFailure } from '../../../lib/images/decode.ts';
import { inspectImage } from '../../../lib/images/inspect.ts';
import { gradient, plain } from './pictures.ts';

describe('inspectImage', () => {
  it.each(['jpeg', 'png', 'webp', 'gif', 'avif'] as const)('takes %s and tells its size', async (format) => {
    const bytes = await plain(40, 30).toFormat(format).toBuffer();
    expect(await inspectImage(bytes)).toEqual({ format, width: 40, height: 30 });
  });

  it('tells the size as seen when EXIF turns the picture', async () => {
    const bytes = await plain(40, 30).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    expect(await inspectImage(bytes)).toEqual({ format: 'jpeg', width: 30, height: 40 });
  });

  it('counts one frame of an animation', async () => {
    const frames = await Promise.all([plain(40, 30), plain(40, 30).negate()].map((frame) => frame.png().toBuffer()));
    const bytes = await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer();
    expect(await inspectImage(bytes)).toEqual({ format: 'gif', width: 40, height: 30 });
  });

  it.each(['jpeg', 'png', 'webp'] as const)('refuses a %s that is cut off in the middle', async (format) => {
    const bytes = await gradient(300, 300).toFormat(format).toBuffer();
    await expect(inspectImage(bytes.subarray(0, bytes.length / 2))).rejects.toMatchObject({
      code: 'imageRejected',
      message: expect.stringContaining(`undamaged ${format}`) as string,
    });
  });

  it.each([
    ['zero bytes', Buffer.alloc(0), 'zero bytes'],
    ['text', Buffer.from('hello, world'), 'hello, world'],
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'Expected jpeg'],
    ['a PDF', Buffer.from('%PDF-1.7 ...'), 'Expected jpeg'],
    ['a HEIC', Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic', 'latin1'), 'Expected jpeg'],
    ['four bytes of a signature', Buffer.from([0xff, 0xd8, 0xff, 0xe0]), 'undamaged jpeg'],
    ['too many bytes', Buffer.alloc(MAX_IMAGE_BYTES + 1), `at most ${MAX_IMAGE_BYTES} bytes`],
  ])('refuses %s and says what came', async (_, bytes, message) => {
    await expect(inspectImage(bytes)).rejects.toMatchObject({
      code: 'imageRejected',
      message: expect.stringContaining(message) as string,
    });
  });

  it('does not blame the picture for a decode that ran out of time or memory', async () => {
    const slow = plain(3000, 3000).blur(300).timeout({ seconds: 1 }).raw().toBuffer();
    const error: unknown = await slow.catch((reason: unknown) => reason);
    expect(decodingFailure('png', error)).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('timeout') as string,
    });
    for (const message of ['vips_tracked: out of memory --- size == 150MB', 'std::bad_alloc']) {
      expect(decodingFailure('png', new Error(message)).code).toBe('unavailable');
    }
    expect(decodingFailure('png', new Error('pngload_buffer: libspng read error')).code).toBe('imageRejected');
  });

  it('refuses a TIFF, which it could decode but does not allow', async () => {
    await expect(inspectImage(await plain().tiff().toBuffer())).rejects.toMatchObject({ code: 'imageRejected' });
  });

  it('refuses a tiny file that claims a gigantic picture before decoding it', async () => {
    const bomb = pngOfSize(60_000, 60_000);
    expect(bomb.length).toBeLessThan(200);
    await expect(inspectImage(bomb)).rejects.toMatchObject({ code: 'imageRejected' });
  });

  it('refuses a strip', async () => {
    const bytes = await plain(3000, 10).png().toBuffer();
    await expect(inspectImage(bytes)).rejects.toThrow('Expected sides of at most 50:1, got 3000 x 10.');
  });
});

/** A well-formed PNG header with next to no data. */
function pngOfSize(width: number, height: number): Buffer {
  const chunk = (type: string, body: Buffer): Buffer => {
    const named = Buffer.concat([Buffer.from(type), body]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(body.length);
    sum.writeUInt32BE(crc32(named));
    return Buffer.concat([length, named, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([
    signature,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.alloc(10))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}
