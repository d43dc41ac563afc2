import type { Pixels } from './decode.ts';

/** Taps of Catmull-Rom interpolation (bicubic, a = -1/2). */
const TAPS = 4;

/**
 * Enlarges a picture until its shorter side is `shorterSide`, then cuts the central `size` x `size`. Done here because
 * libvips samples an enlargement half a pixel off, which shifts small catalogue pictures against large photos.
 */
export function enlargeAndCrop(picture: Pixels, shorterSide: number, size: number): Pixels {
  const scale = shorterSide / Math.min(picture.width, picture.height);
  const columns = sampler(picture.width, Math.round(picture.width * scale), size);
  const rows = sampler(picture.height, Math.round(picture.height * scale), size);
  // Separable: each needed source row is widened once, [height, size, 3], then the columns of that are interpolated.
  const widened = new Float32Array(picture.height * size * 3);
  for (let y = rows.first; y <= rows.last; y++) {
    for (let x = 0; x < size; x++) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let tap = 0; tap < TAPS; tap++) {
          const from = (y * picture.width + columns.index[x * TAPS + tap]!) * 3 + channel;
          sum += columns.weight[x * TAPS + tap]! * picture.data[from]!;
        }
        widened[(y * size + x) * 3 + channel] = sum;
      }
    }
  }
  const data = Buffer.alloc(size * size * 3);
  const stride = size * 3;
  for (let y = 0; y < size; y++) {
    for (let i = 0; i < stride; i++) {
      let sum = 0;
      for (let tap = 0; tap < TAPS; tap++) {
        sum += rows.weight[y * TAPS + tap]! * widened[rows.index[y * TAPS + tap]! * stride + i]!;
      }
      // The negative lobes overshoot at edges.
      data[y * stride + i] = Math.min(Math.max(Math.round(sum), 0), 255);
    }
  }
  return { data, width: size, height: size };
}

interface Sampler {
  /** Source positions and weights of each output position: [size, TAPS]. */
  index: Int32Array;
  weight: Float32Array;
  /** Range of source positions that are read at all. */
  first: number;
  last: number;
}

/** Where the central `size` of `enlarged` positions lie among `source` ones; pixel centres map to pixel centres. */
function sampler(source: number, enlarged: number, size: number): Sampler {
  const index = new Int32Array(size * TAPS);
  const weight = new Float32Array(size * TAPS);
  const margin = Math.floor((enlarged - size) / 2);
  for (let i = 0; i < size; i++) {
    const position = ((i + margin + 0.5) * source) / enlarged - 0.5;
    const left = Math.floor(position);
    for (let tap = 0; tap < TAPS; tap++) {
      const at = left - 1 + tap;
      // Beyond the border the border repeats.
      index[i * TAPS + tap] = Math.min(Math.max(at, 0), source - 1);
      weight[i * TAPS + tap] = catmullRom(Math.abs(position - at));
    }
  }
  return { index, weight, first: index[0]!, last: index[size * TAPS - 1]! };
}

function catmullRom(distance: number): number {
  if (distance < 1) return 1.5 * distance ** 3 - 2.5 * distance ** 2 + 1;
  if (distance < 2) return -0.5 * distance ** 3 + 2.5 * distance ** 2 - 4 * distance + 2;
  return 0;
}
