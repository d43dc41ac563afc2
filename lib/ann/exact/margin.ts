/** Unit roundoff of f32. */
const U = 2 ** -24;
/** Smallest normal f32: what an operation may lose besides when its result is smaller than that. */
const UNDERFLOW = 2 ** -126;
/** Beyond this a sum could overflow on one path and not on another. */
const LARGEST = 1e37;

/** Relative error of a sum of products with `n` roundings, in any order, fused or not (Higham 2002, lemma 3.1). */
function gamma(n: number): number {
  return n * U < 0.5 ? (n * U) / (1 - n * U) : Infinity;
}

/**
 * How far below the k-th best candidate, by scores of a matrix product, a row of the true k best can lie. Each of the two
 * scores of a row is within an error bound of its real value: the product's by `dim` roundings, that of the kernels by those
 * of one of their 16 sums; so they differ by both bounds, and a row passes another over at most twice that.
 * L2: scores are halved and without the query's norm, q.x - |x|^2/2.
 */
export function margin(dim: number, isL2: boolean, queryNorm: number, largestNorm: number): number {
  // Norms are computed in doubles; a trace more covers what they lose.
  const q = queryNorm * 1.0001;
  const x = largestNorm * 1.0001;
  if (!(q * x + x * x + q * q < LARGEST)) return Infinity;
  const product = gamma(dim + 2) * q * x;
  const kernel = gamma(dim / 16 + 16);
  const difference = isL2 ? product + U * (q * x + 2 * x * x) + 0.5 * kernel * (q + x) ** 2 : product + kernel * q * x;
  // Doubled, and rounded up where it becomes an f32.
  return 2.0001 * (difference + 4 * (dim + 16) * UNDERFLOW);
}
