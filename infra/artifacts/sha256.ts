import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { FileSource } from '../../contracts/artifacts.ts';

/** Lower-case hex SHA-256. */
export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Hash and length of a source, streamed: files may be larger than memory. */
export async function hashSource(source: FileSource): Promise<{ sha256: string; sizeBytes: number }> {
  if ('bytes' in source) return { sha256: sha256Hex(source.bytes), sizeBytes: source.bytes.byteLength };
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(source.path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    sizeBytes += (chunk as Buffer).byteLength;
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}
