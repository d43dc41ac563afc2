import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Largest single read: Node refuses more than 2 GiB at once. */
const READ_BYTES = 256 << 20;

/** Names of a shard artefact's files. */
export const INDEX_FILE = 'index.bin';
export const ROWS_FILE = 'rows.jsonl';
/** Part of a shard's derivation. 2: rows hold attributes. */
export const ROWS_VERSION = 2;

/** A folder of its own, removed afterwards. */
export async function withTempFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'lookalike-shard-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A whole file of any size. */
export async function readLarge(path: string): Promise<Uint8Array> {
  await using file = await open(path);
  const bytes = new Uint8Array((await file.stat()).size);
  let offset = 0;
  while (offset < bytes.length) {
    const length = Math.min(READ_BYTES, bytes.length - offset);
    const { bytesRead } = await file.read(bytes, offset, length, offset);
    if (bytesRead === 0) break;
    offset += bytesRead;
  }
  return bytes.subarray(0, offset);
}

/** Writes the parts one after the other, without joining them in memory. */
export async function writeParts(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  await writeFile(path, slices(parts));
}

function* slices(parts: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const part of parts) {
    for (let start = 0; start < part.length; start += READ_BYTES) yield part.subarray(start, start + READ_BYTES);
  }
}
