import type { BlobStore } from '../../contracts/artifacts.ts';
import type { ItemWrite, PutItem } from '../../contracts/changes.ts';
import { isLookalikeError } from '../../contracts/errors.ts';
import { storePicture } from '../../infra/import/store-picture.ts';
import type { ImageFetcher } from '../ports.ts';
import { decodeBase64 } from '../search/base64.ts';
import { ValidationError } from '../validation.ts';
import type { PutItemDto } from './items.dto.ts';
import type { WriteLine } from './write-lines.ts';

/** Where pictures come from and go. */
export interface Pictures {
  blobs: Pick<BlobStore, 'put'>;
  fetchImage: ImageFetcher;
}

type AskedItem = PutItemDto & { id: string; image?: Buffer };

/** Of one line: what is to be written, or why it is not. */
export type ReadyLine =
  { line: number; id: string; write: ItemWrite } | { line: number; id: string | null; reason: string };

/**
 * The item to write, its picture looked at and stored.
 * @throws LookalikeError `imageRejected` | `invalidInput` | `forbiddenUrl` | `unavailable` | `timeout` | `cancelled`
 */
export async function prepareItem(pictures: Pictures, item: AskedItem, signal: AbortSignal): Promise<PutItem> {
  return withPicture(pictures, item, await bytesOf(item, pictures.fetchImage, signal));
}

/** @throws LookalikeError where the fault is not the line's own: the whole request is to be tried again */
export async function prepareLine(pictures: Pictures, line: WriteLine, signal: AbortSignal): Promise<ReadyLine> {
  if ('reason' in line) return line;
  if ('delete' in line) return { line: line.line, id: line.delete, write: { delete: line.delete } };
  const { id } = line.put;
  let bytes: Buffer | null | undefined;
  try {
    bytes = await bytesOf(line.put, pictures.fetchImage, signal);
    return { line: line.line, id, write: { put: await withPicture(pictures, line.put, bytes) } };
  } catch (error) {
    if (!isLookalikeError(error) || error.code === 'cancelled') throw error;
    // A host of pictures that does not answer is the line's affair, a store that does not is everybody's.
    if (error.retryable && bytes !== undefined) throw error;
    return { line: line.line, id, reason: error.message };
  }
}

async function withPicture({ blobs }: Pictures, item: AskedItem, bytes: Buffer | null): Promise<PutItem> {
  const { id, category, label, title, attributes } = item;
  const image = bytes === null ? null : await storePicture(blobs, bytes);
  const fields = { category: category ?? null, label: label ?? null, title: title ?? null };
  return { id, image, ...fields, attributes: attributes ?? {} };
}

/** Null without a picture: the item keeps its own. */
async function bytesOf(
  { image, imageBase64, imageUrl }: Pick<AskedItem, 'image' | 'imageBase64' | 'imageUrl'>,
  fetchImage: ImageFetcher,
  signal: AbortSignal,
): Promise<Buffer | null> {
  if ([image, imageBase64, imageUrl].filter((one) => one !== undefined).length > 1) {
    const got = 'several of image, imageBase64 and imageUrl';
    throw new ValidationError([{ field: '(body)', expected: 'one picture', got }]);
  }
  if (imageBase64 !== undefined) return decodeBase64('imageBase64', imageBase64);
  if (imageUrl !== undefined) return fetchImage(imageUrl, signal);
  return image ?? null;
}
