/** The same memory as bytes. Every machine this runs on is little-endian, as is the wire. */
export function bytesOf(values: Float32Array | Uint32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** `length` floats from byte `offset` on: a view where the bytes are aligned to 4, else a copy. */
export function floatsOf(bytes: Uint8Array, offset = 0, length = (bytes.length - offset) >>> 2): Float32Array {
  const aligned = alignedTo(4, bytes, offset, length * 4);
  return new Float32Array(aligned.buffer, aligned.byteOffset, length);
}

/** As `floatsOf`, of 32-bit whole numbers. */
export function wordsOf(bytes: Uint8Array, offset: number, length: number): Uint32Array {
  const aligned = alignedTo(4, bytes, offset, length * 4);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, length);
}

/** As `floatsOf`, of 16-bit words. */
export function halvesOf(bytes: Uint8Array, offset: number, length: number): Uint16Array {
  const aligned = alignedTo(2, bytes, offset, length * 2);
  return new Uint16Array(aligned.buffer, aligned.byteOffset, length);
}

function alignedTo(alignment: number, bytes: Uint8Array, offset: number, sizeBytes: number): Uint8Array {
  const part = bytes.subarray(offset, offset + sizeBytes);
  // Node's Buffer#slice would share memory, so the copy is spelt out.
  return part.byteOffset % alignment === 0 ? part : Uint8Array.from(part);
}
