import sharp from 'sharp';
import type { CropBox, PixelBox } from '../../contracts/crop.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { Preprocessing } from '../../contracts/model.ts';
import { planAugmentation } from './augment.ts';
import { planCrop } from './crop.ts';
import type { OpenedImage, Pixels } from './decode.ts';
import { MAX_ASPECT_RATIO, decodePixels, openImage } from './decode.ts';
import { planResample } from './resample-plan.ts';
import { resample } from './resample.ts';

/**
 * From twice the size on, a JPEG is decoded at reduced scale, by the decoder's own resizing. Below, building that pipeline costs
 * more than the pixels: decoding alone and resampling here takes 1.8 instead of 3.0 ms for a 348-pixel photo.
 */
const DECODER_SHRINKS_FROM = 2;

/**
 * Raised when the same bytes and {@link Preprocessing} give other pixels than before. Part of what a backbone is made from, so
 * that features cached before are computed anew.
 */
export const PIXELS_VERSION = 2;

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
export async function preprocess(
  bytes: Uint8Array,
  p: Preprocessing,
  view?: View,
  crop?: CropBox,
): Promise<Float32Array> {
  const [tensor] = await preprocessViews(bytes, p, [view?.seed ?? null], { crop });
  return tensor!;
}

export interface PreprocessOptions {
  /** Of plain views, only this part of the picture counts, as if the rest were not there. */
  crop?: CropBox;
  /** Is told what `crop` means in this picture. */
  onCrop?: (box: PixelBox) => void;
  /** May hand out used buffers, of any content: fresh ones cost more than filling them (0.45 of 3 ms a picture). */
  allocate?: (length: number) => Float32Array;
  /** Is told when the pixels of a plain view are there, scaled where the decoder does it. */
  onDecoded?: () => void;
}

/**
 * Several views of one picture; each equals what {@link preprocess} gives for it alone.
 * @throws LookalikeError `imageRejected` | `unavailable`; `invalidInput` when the crop leaves the picture
 */
export async function preprocessViews(
  bytes: Uint8Array,
  p: Preprocessing,
  seeds: readonly (number | null)[],
  { crop, onCrop, allocate = (length) => new Float32Array(length), onDecoded }: PreprocessOptions = {},
): Promise<Float32Array[]> {
  const image = await openImage(bytes);
  const box = crop && pixelBoxOf(crop, image);
  if (box !== undefined) onCrop?.(box);
  const wantsAugmented = seeds.some((seed) => seed !== null);
  const base = wantsAugmented ? await augmentationBase(image, p) : undefined;
  const length = 3 * p.size * p.size;
  return Promise.all(
    seeds.map(async (seed) =>
      seed === null
        ? plainView(image, p, box, () => allocate(length), onDecoded)
        : toTensor(await augmentedView(base!, p, seed), p, allocate(length)),
    ),
  );
}

/** @throws LookalikeError `invalidInput` */
function pixelBoxOf(crop: CropBox, { width, height }: OpenedImage): PixelBox {
  const box = planCrop(crop, width, height, MAX_ASPECT_RATIO);
  if ('problem' in box) throw new LookalikeError('invalidInput', box.problem, { width, height });
  return box;
}

async function plainView(
  image: OpenedImage,
  p: Preprocessing,
  box: PixelBox | undefined,
  allocate: () => Float32Array,
  onDecoded?: () => void,
): Promise<Float32Array> {
  const { left, top, width, height } = box ?? { left: 0, top: 0, width: image.width, height: image.height };
  if (Math.min(width, height) >= DECODER_SHRINKS_FROM * p.resizeShorterSide) {
    const shrunk = await shrunkView(image, p, box);
    onDecoded?.();
    return toTensor(shrunk, p, allocate());
  }
  const plan = planResample(width, height, p.resizeShorterSide, p.size);
  const { columns, rows } = plan;
  const region = {
    ...{ left: left + columns.first, top: top + rows.first },
    ...{ width: columns.length, height: rows.length },
  };
  const pixels = await decodePixels(image, p.background, (pipeline) => pipeline.extract(region));
  onDecoded?.();
  const tensor = allocate();
  resample(pixels, plan, p, tensor);
  return tensor;
}

function shrunkView(image: OpenedImage, p: Preprocessing, box: PixelBox | undefined): Promise<Pixels> {
  const margin = Math.floor((p.resizeShorterSide - p.size) / 2);
  return decodePixels(image, p.background, (pipeline) =>
    (box === undefined ? pipeline : pipeline.extract(box))
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

/** HWC bytes -> CHW floats, in one pass over the bytes and the same arithmetic as {@link resample}. */
function toTensor({ data }: Pixels, { size, mean, std }: Preprocessing, tensor: Float32Array): Float32Array {
  const area = size * size;
  const [red, green, blue] = [0, 1, 2].map((channel) => normalised(mean[channel]!, std[channel]!));
  for (let i = 0, from = 0; i < area; i++, from += 3) {
    tensor[i] = red![data[from]!]!;
    tensor[area + i] = green![data[from + 1]!]!;
    tensor[2 * area + i] = blue![data[from + 2]!]!;
  }
  return tensor;
}

/** All 256 values of a channel, rounded to f32 after each step. */
function normalised(mean: number, std: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => Math.fround(value - Math.fround(mean)) / Math.fround(std));
}
