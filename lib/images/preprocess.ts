import sharp from 'sharp';
import type { Preprocessing } from '../../contracts/model.ts';
import { planAugmentation } from './augment.ts';
import type { OpenedImage, Pixels } from './decode.ts';
import { decodePixels, openImage } from './decode.ts';
import { enlargeAndCrop } from './enlarge.ts';

/** `seed` null is the plain view; a number is the augmentation it draws. */
export interface View {
  seed: number;
}

/**
 * Turns a picture into a model's input: CHW f32 of length 3 * size * size. Without `view`: shorter side to
 * `resizeShorterSide`, centre crop `size`. With one: a random crop, flip and colour change, a pure function of the seed.
 * The only way from bytes to tensor, for training, batch and query alike.
 * @throws LookalikeError `imageRejected` | `unavailable`
 */
export async function preprocess(bytes: Uint8Array, p: Preprocessing, view?: View): Promise<Float32Array> {
  const [tensor] = await preprocessViews(bytes, p, [view?.seed ?? null]);
  return tensor!;
}

/**
 * Several views of one picture; each equals what {@link preprocess} gives for it alone. `allocate` may hand out used
 * buffers, of any content: fresh ones cost more than filling them (0.45 of 3 ms a picture).
 */
export async function preprocessViews(
  bytes: Uint8Array,
  p: Preprocessing,
  seeds: readonly (number | null)[],
  allocate: (length: number) => Float32Array = (length) => new Float32Array(length),
): Promise<Float32Array[]> {
  const image = await openImage(bytes);
  const wantsAugmented = seeds.some((seed) => seed !== null);
  const base = wantsAugmented ? await augmentationBase(image, p) : undefined;
  const views = seeds.map((seed) => (seed === null ? plainView(image, p) : augmentedView(base!, p, seed)));
  return (await Promise.all(views)).map((pixels) => toTensor(pixels, p, allocate(3 * p.size * p.size)));
}

async function plainView(image: OpenedImage, p: Preprocessing): Promise<Pixels> {
  if (Math.min(image.width, image.height) < p.resizeShorterSide) {
    return enlargeAndCrop(await decodePixels(image, p.background, (pipeline) => pipeline), p.resizeShorterSide, p.size);
  }
  const margin = Math.floor((p.resizeShorterSide - p.size) / 2);
  return decodePixels(image, p.background, (pipeline) =>
    pipeline
      .resize(p.resizeShorterSide, p.resizeShorterSide, { fit: 'cover', position: 'centre', kernel: 'cubic' })
      .extract({ left: margin, top: margin, width: p.size, height: p.size }),
  );
}

/** Decoded once for all views: half as large again as the plain view, so that a crop of it is still sharp. */
function augmentationBase(image: OpenedImage, p: Preprocessing): Promise<Pixels> {
  const side = Math.round(p.resizeShorterSide * 1.5);
  return decodePixels(image, p.background, (pipeline) =>
    pipeline.resize(side, side, { fit: 'outside', withoutEnlargement: true, kernel: 'cubic' }),
  );
}

async function augmentedView(base: Pixels, p: Preprocessing, seed: number): Promise<Pixels> {
  const plan = planAugmentation(seed, base);
  let pipeline = sharp(base.data, { raw: { width: base.width, height: base.height, channels: 3 } })
    .extract(plan.crop)
    .resize(p.size, p.size, { fit: 'fill', kernel: 'cubic' });
  if (plan.flip) pipeline = pipeline.flop();
  if (plan.blurSigma > 0) pipeline = pipeline.blur(plan.blurSigma);
  pipeline = pipeline
    .modulate({ saturation: plan.saturation, hue: plan.hueDegrees })
    .linear(plan.contrast, 128 * (1 - plan.contrast) + plan.brightness);
  const { data, info } = await pipeline.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height };
}

/** HWC bytes -> CHW floats, in one pass over the bytes. */
function toTensor({ data }: Pixels, { size, mean, std }: Preprocessing, tensor: Float32Array): Float32Array {
  const area = size * size;
  const red = tensor.subarray(0, area);
  const green = tensor.subarray(area, 2 * area);
  const blue = tensor.subarray(2 * area);
  for (let i = 0, from = 0; i < area; i++, from += 3) {
    red[i] = (data[from]! - mean[0]) / std[0];
    green[i] = (data[from + 1]! - mean[1]) / std[1];
    blue[i] = (data[from + 2]! - mean[2]) / std[2];
  }
  return tensor;
}
