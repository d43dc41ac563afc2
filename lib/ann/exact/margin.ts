/** Unit roundoff of f32. */
const U = 2 ** -24;
/** Smallest normal f32: what an operation may lose besides when its result is smaller than that. */
const SMALLEST = 2 ** -126;
/** Beyond this a sum could overflow on one path and not on another. */
const LARGEST = 1e37;

/** Relative error of a sum of products with `n` roundings, in any order, fused or not (Higham 2002, lemma 3.1). */
function gamma(n: number): number {
  return n * U < 0.5 ? (n * U) / (1 - n * U) : Infinity;
}

/**
 * How far the scores that answers carry lie from real values, relative to |q| |x| or, under L2, to the squared distance: the
 * kernels' roundings in one of their 16 sums.
 */
export const kernelError = (dim: number): number => gamma(dim / 16 + 16);

/** What numbers lose in sums and products that become smaller than any. */
export const underflow = (dim: number): number => 4 * (dim + 16) * SMALLEST;

/**
 * How far the score that answers carry can exceed a product's in f32, rounded in any order. Each is within an error bound of
 * its real value: the product's by `dim` roundings. L2: scores are halved and without the query's norm, q.x - |x|^2/2.
 */
export function margin(dim: number, isL2: boolean, queryNorm: number, largestNorm: number): number {
  // Norms are computed in doubles; a trace more covers what they lose.
  const q = queryNorm * 1.0001;
  const x = largestNorm * 1.0001;
  if (!(q * x + x * x + q * q < LARGEST)) return Infinity;
  const product = gamma(dim + 2) * q * x;
  const kernel = kernelError(dim);
  const difference = isL2 ? product + U * (q * x + 2 * x * x) + 0.5 * kernel * (q + x) ** 2 : product + kernel * q * x;
  return 1.0001 * difference + underflow(dim);
}
