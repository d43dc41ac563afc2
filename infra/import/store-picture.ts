import type { BlobStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { MAX_IMAGE_BYTES } from '../../lib/images/decode.ts';
import { inspectImage } from '../../lib/images/inspect.ts';

/** Keeps a picture that can be used, whole; answers its SHA-256. @throws LookalikeError `imageRejected` | `unavailable` */
export async function storePicture(blobs: Pick<BlobStore, 'put'>, bytes: Uint8Array): Promise<string> {
  if (bytes.length > MAX_IMAGE_BYTES) {
    throw new LookalikeError('imageRejected', `Expected at most ${MAX_IMAGE_BYTES} bytes, got ${bytes.length}.`);
  }
  await inspectImage(bytes);
  return blobs.put(bytes);
}
