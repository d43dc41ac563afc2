import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { FileSource } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Expected } from './object-store.ts';

/**
 * Puts a file in place as a whole or not at all: temporary file, fsync, link, fsync of the folder. A process killed midway
 * leaves at most a file in `tmpDir`.
 *
 * @returns false when `target` was there already
 * @throws LookalikeError `corruptArtifact` when the bytes are not the expected ones
 */
export async function writeFileIfAbsent(
  target: string,
  source: FileSource,
  expected: Expected,
  tmpDir: string,
): Promise<boolean> {
  await mkdir(tmpDir, { recursive: true });
  await mkdir(dirname(target), { recursive: true });
  const draft = draftIn(tmpDir);
  try {
    const written = await writeDraft(draft, chunksOf(source));
    if (written.sha256 !== expected.sha256 || written.sizeBytes !== expected.sizeBytes) {
      throw new LookalikeError(
        'corruptArtifact',
        `Expected ${expected.sizeBytes} bytes with SHA-256 ${expected.sha256} for ${target}, ` +
          `got ${written.sizeBytes} bytes with ${written.sha256}: the source changed while it was stored. Try again.`,
      );
    }
    return await place(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Streams `body` to a draft and puts it in place; unlike above, nothing is expected of the bytes. */
export async function moveIntoPlace(target: string, body: AsyncIterable<Uint8Array>, tmpDir: string): Promise<void> {
  await mkdir(tmpDir, { recursive: true });
  await mkdir(dirname(target), { recursive: true });
  const draft = draftIn(tmpDir);
  try {
    await writeDraft(draft, body);
    await place(draft, target);
  } finally {
    await rm(draft, { force: true });
  }
}

function draftIn(tmpDir: string): string {
  return join(tmpDir, `${process.pid}-${randomBytes(8).toString('hex')}`);
}

function chunksOf(source: FileSource): Iterable<Uint8Array> | AsyncIterable<Uint8Array> {
  return 'bytes' in source ? [source.bytes] : createReadStream(source.path, { highWaterMark: 1 << 20 });
}

async function writeDraft(draft: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<Expected> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const file = await open(draft, 'wx');
  try {
    for await (const chunk of chunks) {
      hash.update(chunk);
      await writeAll(file, chunk);
      sizeBytes += chunk.byteLength;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), sizeBytes };
}

/** One write may take less than it was given. */
async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, bytes.byteLength - done)).bytesWritten;
  }
}

async function place(draft: string, target: string): Promise<boolean> {
  try {
    // A link never replaces what is there: of several writers the first wins.
    await link(draft, target);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST') return false;
    // File systems without hard links: a rename is as atomic, only the last writer wins.
    if (code !== 'EPERM' && code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EMLINK') throw error;
    await rename(draft, target);
  }
  await syncFolder(dirname(target));
  return true;
}

/** Makes the new name itself survive a power cut. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
