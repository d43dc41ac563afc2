import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { LookalikeError } from '../../contracts/errors.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const NOT_UTF8 = 'Expected UTF-8 text, got other bytes. Save the file as UTF-8.';

/** The text, or undefined when the bytes are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Where the text starts after a UTF-8 byte-order mark. @throws LookalikeError `invalidInput` for UTF-16 */
export async function textStart(path: string): Promise<number> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(3), 0, 3, 0);
    const mark = buffer.subarray(0, bytesRead).toString('hex');
    if (mark.startsWith('fffe') || mark.startsWith('feff')) {
      throw new LookalikeError('invalidInput', `Expected ${path} as UTF-8 text, got UTF-16. Save the file as UTF-8.`);
    }
    return mark === 'efbbbf' ? 3 : 0;
  } finally {
    await file.close();
  }
}

/** The file's bytes from `start` on. */
export function bytesFrom(path: string, start: number): NodeJS.ReadableStream {
  return createReadStream(path, { start });
}
