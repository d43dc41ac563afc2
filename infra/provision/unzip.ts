import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { openPromise } from 'yauzl';
import { throwIfCancelled } from './progress.ts';

/**
 * Unpacks chosen files of a zip archive (a Python wheel is one).
 * @param place where a file of the archive goes, or null to leave it out
 * @param onProgress called with the share of the archive's entries passed, 0..1
 * @returns how many files were written
 * @throws Error when the archive is damaged or cut off
 */
export async function unzip(
  archive: string,
  place: (name: string) => string | null,
  options: { signal?: AbortSignal; onProgress?: (fraction: number) => void } = {},
): Promise<number> {
  const zip = await openPromise(archive);
  let numSeen = 0;
  let numWritten = 0;
  try {
    for await (const entry of zip.eachEntry()) {
      throwIfCancelled(options.signal);
      numSeen++;
      const path = place(entry.fileName);
      if (path === null || entry.fileName.endsWith('/')) continue;
      await mkdir(dirname(path), { recursive: true });
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(path), { signal: options.signal });
      numWritten++;
      options.onProgress?.(numSeen / zip.entryCount);
    }
  } finally {
    zip.close();
  }
  return numWritten;
}
