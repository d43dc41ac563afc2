import { open } from 'node:fs/promises';
import { LookalikeError } from '../../contracts/errors.ts';

/** A neighbour by its row in the whole index: shard 0's rows come first, then shard 1's. */
export interface Neighbour {
  row: number;
  score: number;
}

/** An i32 row and an f32 score, little-endian; a row of -1 fills a list that is shorter than `k`. */
const NEIGHBOUR_BYTES = 8;
const NONE = -1;
const READ_ITEMS = 4096;

/** The lists of a chunk, `k` entries each. */
export function encodeNeighbours(lists: readonly (readonly Neighbour[])[], k: number): Uint8Array {
  const bytes = new Uint8Array(lists.length * k * NEIGHBOUR_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, list] of lists.entries()) {
    for (let j = 0; j < k; j++) {
      const at = (i * k + j) * NEIGHBOUR_BYTES;
      view.setInt32(at, list[j]?.row ?? NONE, true);
      view.setFloat32(at + 4, list[j]?.score ?? 0, true);
    }
  }
  return bytes;
}

export function decodeNeighbours(bytes: Uint8Array): Neighbour[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const list: Neighbour[] = [];
  for (let at = 0; at < bytes.length; at += NEIGHBOUR_BYTES) {
    const row = view.getInt32(at, true);
    if (row === NONE) break;
    list.push({ row, score: view.getFloat32(at + 4, true) });
  }
  return list;
}

/**
 * The lists of a file, in order, a few thousand in memory at a time.
 * @throws LookalikeError `corruptArtifact` when it does not hold `numItems` lists
 */
export async function* readNeighbours(path: string, k: number, numItems: number): AsyncGenerator<Neighbour[]> {
  await using file = await open(path);
  const listBytes = k * NEIGHBOUR_BYTES;
  const { size } = await file.stat();
  if (size !== numItems * listBytes) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected ${numItems} lists of ${k} neighbours, got ${size} bytes of them in ${path}.`,
    );
  }
  const block = new Uint8Array(READ_ITEMS * listBytes);
  for (let item = 0; item < numItems; item += READ_ITEMS) {
    const count = Math.min(READ_ITEMS, numItems - item);
    await file.read(block, 0, count * listBytes, item * listBytes);
    for (let i = 0; i < count; i++) yield decodeNeighbours(block.subarray(i * listBytes, (i + 1) * listBytes));
  }
}
