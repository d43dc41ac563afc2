import { LookalikeError } from '../../contracts/errors.ts';

/** A vector as base64 of little-endian f32: exact, and a third of the size of decimal JSON. */
export function encodeVector(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString('base64');
}

/** @throws LookalikeError `invalidInput` */
export function decodeVector(text: string): Float32Array {
  // Buffer skips what is not base64: an undamaged text decodes to exactly as many bytes as its length says.
  const bytes = Buffer.from(text, 'base64');
  if (text.length % 4 !== 0 || bytes.length !== (text.length / 4) * 3 - (/=*$/.exec(text)?.[0].length ?? 0)) {
    throw new LookalikeError(
      'invalidInput',
      'Expected `vector` to be base64, got text with other characters or length.',
    );
  }
  if (bytes.length === 0 || bytes.length % 4 !== 0) {
    const expected = 'Expected `vector` to be base64 of 32-bit floats (a positive multiple of 4 bytes)';
    throw new LookalikeError('invalidInput', `${expected}, got ${bytes.length} bytes.`);
  }
  return new Float32Array(new Uint8Array(bytes).buffer);
}
