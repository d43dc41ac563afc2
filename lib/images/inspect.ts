import { decodePixels, openImage } from './decode.ts';
import type { ImageFormat } from './format.ts';

/** What a usable picture is. `width` and `height` are as seen, EXIF rotation applied. */
export interface ImageInfo {
  format: ImageFormat;
  width: number;
  height: number;
}

/**
 * Says what a picture is, after decoding all of it: a file that is cut off in the middle is found here, not weeks later
 * in a batch. @throws LookalikeError `imageRejected` with what was expected and what came | `unavailable`
 */
export async function inspectImage(bytes: Uint8Array): Promise<ImageInfo> {
  const image = await openImage(bytes);
  // Scaling to a thumbnail reads every coded byte but keeps no full-size copy.
  await decodePixels(image, [255, 255, 255], (pipeline) => pipeline.resize(16, 16, { fit: 'fill' }));
  return { format: image.format, width: image.width, height: image.height };
}
