import { LookalikeError } from '../../contracts/errors.ts';

const startsWith = (bytes: Uint8Array, text: string, at = 0): boolean =>
  Buffer.from(bytes.buffer, bytes.byteOffset + at, Math.min(text.length, Math.max(0, bytes.length - at))).toString(
    'latin1',
  ) === text;

/** The content type by the first bytes, or null when it is none of the picture formats that are taken. */
export function pictureType(bytes: Uint8Array): string | null {
  if (startsWith(bytes, '\xff\xd8\xff')) return 'image/jpeg';
  if (startsWith(bytes, '\x89PNG\r\n\x1a\n')) return 'image/png';
  if (startsWith(bytes, 'GIF8')) return 'image/gif';
  if (startsWith(bytes, 'RIFF') && startsWith(bytes, 'WEBP', 8)) return 'image/webp';
  if (startsWith(bytes, 'II*\0') || startsWith(bytes, 'MM\0*')) return 'image/tiff';
  if (startsWith(bytes, 'ftypavif', 4) || startsWith(bytes, 'ftypavis', 4)) return 'image/avif';
  if (startsWith(bytes, 'ftyp', 4)) return 'image/heif';
  return null;
}

/** A cheap first look, before an embedder is bothered. @throws LookalikeError `imageRejected` */
export function requirePicture(bytes: Buffer): void {
  if (pictureType(bytes) !== null) return;
  const head = bytes.subarray(0, 512).toString('latin1').trimStart().toLowerCase();
  const got =
    bytes.length === 0
      ? 'an empty file'
      : head.includes('<svg')
        ? 'an SVG document'
        : `${bytes.length} bytes that begin with 0x${bytes.subarray(0, 4).toString('hex')}`;
  throw new LookalikeError('imageRejected', `Expected a JPEG, PNG, WebP, GIF, AVIF, HEIF or TIFF picture, got ${got}.`);
}
