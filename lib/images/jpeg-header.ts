/** Markers of baseline, extended and progressive Huffman frames: what any JPEG on the web is. */
const FRAMES = new Set([0xc0, 0xc1, 0xc2]);
const APP0 = 0xe0;
const START_OF_SCAN = 0xda;
/** Quantisation tables, Huffman tables, restart interval, comment: they say nothing about size or orientation. */
const TABLES = new Set([0xdb, 0xc4, 0xdd, 0xfe]);

/**
 * Width and height of a plain JPEG: 8 bits, one or three components, no metadata that could turn it or change its colours
 * (EXIF, ICC, Adobe, several pictures). Undefined for any other, damaged ones included; those are for the decoder to tell.
 */
export function readPlainJpegSize(bytes: Uint8Array): { width: number; height: number } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let size: { width: number; height: number } | undefined;
  let at = 2;
  while (at + 4 <= bytes.length && bytes[at] === 0xff) {
    const marker = bytes[at + 1]!;
    // Metadata may also stand between the frame's header and the pixels, so the size alone is not the end.
    if (marker === START_OF_SCAN) return size;
    if (FRAMES.has(marker)) {
      if (size !== undefined || at + 10 > bytes.length) return undefined;
      const [precision, numComponents] = [bytes[at + 4], bytes[at + 9]];
      if (precision !== 8 || (numComponents !== 1 && numComponents !== 3)) return undefined;
      size = { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
      if (size.width === 0 || size.height === 0) return undefined;
    } else if (marker !== APP0 && !TABLES.has(marker)) return undefined;
    at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}
