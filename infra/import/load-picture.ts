import { readFile, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { errorMessage, isLookalikeError, LookalikeError } from '../../contracts/errors.ts';
import { fetchImage } from '../fetch/fetch-image.ts';

const FETCH_TIMEOUT_MS = 30_000;

export interface PictureRules {
  /** What relative paths are relative to. */
  folder: string;
  imageHosts: readonly string[];
  maxBytes: number;
  signal?: AbortSignal;
}

/** The bytes that a row's `image` names: a path or an http(s) URL. @throws LookalikeError saying why there are none */
export async function loadPicture(image: string, rules: PictureRules): Promise<Buffer> {
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(image)) {
    const { imageHosts: allowedHosts, maxBytes, signal } = rules;
    return fetchImage(image, { allowedHosts, maxBytes, timeoutMs: FETCH_TIMEOUT_MS, signal });
  }
  const path = resolve(rules.folder, image);
  try {
    const found = await stat(path);
    if (!found.isFile())
      throw new LookalikeError('imageRejected', `Expected a picture at ${path}, found no plain file.`);
    if (found.size > rules.maxBytes) {
      throw new LookalikeError('imageRejected', `Expected at most ${rules.maxBytes} bytes, ${path} has ${found.size}.`);
    }
    return await readFile(path);
  } catch (error) {
    if (isLookalikeError(error)) throw error;
    throw new LookalikeError(
      'imageRejected',
      `Expected a picture at ${path}, could not read it: ${errorMessage(error)}.`,
    );
  }
}
