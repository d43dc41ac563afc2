/** Per-feature mean and standard deviation of the training pictures' plain views. */
export interface Standardisation {
  mean: Float32Array;
  std: Float32Array;
}

/** Keeps a feature that never varies from being blown up. */
const MIN_STD = 1e-3;

/** `features` is [numPictures * views, dim]; view 0 of each picture counts. Sums in double precision. */
export function standardisationOf(features: Float32Array, views: number, dim: number): Standardisation {
  const numPictures = features.length / (views * dim);
  const sums = new Float64Array(dim);
  const squares = new Float64Array(dim);
  for (let picture = 0; picture < numPictures; picture++) {
    const at = picture * views * dim;
    for (let j = 0; j < dim; j++) {
      const value = features[at + j]!;
      sums[j]! += value;
      squares[j]! += value * value;
    }
  }
  const mean = Float32Array.from(sums, (sum) => sum / numPictures);
  const std = Float32Array.from(squares, (square, j) => {
    const centre = sums[j]! / numPictures;
    return Math.sqrt(Math.max(0, square / numPictures - centre * centre)) + MIN_STD;
  });
  return { mean, std };
}

/** (x - mean) / std, row by row, in a new array. */
export function standardise(features: Float32Array, { mean, std }: Standardisation): Float32Array {
  const out = new Float32Array(features.length);
  for (let i = 0, j = 0; i < features.length; i++, j = j + 1 === mean.length ? 0 : j + 1) {
    out[i] = (features[i]! - mean[j]!) / std[j]!;
  }
  return out;
}

/**
 * The head over raw features that equals `kernel` [dim, D] and `bias` [D] over standardised ones:
 * ((x - mean) / std) W + b = x (W / std) + (b - (mean / std) W).
 */
export function foldStandardisation(
  kernel: Float32Array,
  bias: Float32Array,
  { mean, std }: Standardisation,
): { kernel: Float32Array; bias: Float32Array } {
  const outDim = bias.length;
  const folded = new Float32Array(kernel.length);
  const shift = Float64Array.from(bias);
  for (let j = 0; j < mean.length; j++) {
    for (let d = 0; d < outDim; d++) {
      const weight = kernel[j * outDim + d]! / std[j]!;
      folded[j * outDim + d] = weight;
      shift[d]! -= mean[j]! * weight;
    }
  }
  return { kernel: folded, bias: Float32Array.from(shift) };
}
