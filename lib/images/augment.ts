import { randomFrom } from './random.ts';

/** One draw of the augmentation, in pixels of the base picture. */
export interface Augmentation {
  crop: { left: number; top: number; width: number; height: number };
  flip: boolean;
  /** 1 leaves the colours as they are. */
  saturation: number;
  contrast: number;
  /** Added to every value, of 0..255. */
  brightness: number;
  hueDegrees: number;
  /** 0 is no blur. */
  blurSigma: number;
}

/** Share of the picture's area that a crop keeps: product photos show the product large, so small crops show nothing of it. */
const CROP_AREA: [number, number] = [0.4, 1];
/** Aspect ratio of the crop before it is squeezed to a square. */
const CROP_RATIO: [number, number] = [3 / 4, 4 / 3];
const BLUR_PROBABILITY = 0.2;

/**
 * What the view with this seed looks like: what differs between a shop photo and a catalogue picture (framing, light,
 * white balance, focus), but little hue, since the colour is often what tells two products apart.
 */
export function planAugmentation(seed: number, picture: { width: number; height: number }): Augmentation {
  const random = randomFrom(seed);
  const between = (low: number, high: number): number => low + (high - low) * random();
  const area = picture.width * picture.height * between(...CROP_AREA);
  const ratio = Math.exp(between(Math.log(CROP_RATIO[0]), Math.log(CROP_RATIO[1])));
  const width = clamp(Math.round(Math.sqrt(area * ratio)), 1, picture.width);
  const height = clamp(Math.round(Math.sqrt(area / ratio)), 1, picture.height);
  return {
    crop: {
      left: Math.floor(random() * (picture.width - width + 1)),
      top: Math.floor(random() * (picture.height - height + 1)),
      width,
      height,
    },
    flip: random() < 0.5,
    saturation: between(0.7, 1.3),
    contrast: between(0.75, 1.25),
    brightness: between(-24, 24),
    hueDegrees: Math.round(between(-6, 6)),
    blurSigma: random() < BLUR_PROBABILITY ? between(0.4, 1.2) : 0,
  };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
