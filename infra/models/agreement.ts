import { LookalikeError } from '../../contracts/errors.ts';

/** How closely two computations of the same vectors agree, over all rows. */
export interface Agreement {
  numImages: number;
  maxAbsDiff: number;
  minCosine: number;
}

/** Features are of the order of 1 and sum over some millions of products: f32 leaves some 1e-5. */
export const MAX_ABS_DIFF = 1e-3;
export const MIN_COSINE = 0.99999;

/** Compares rows pairwise. */
export function agreementOf(expected: readonly Float32Array[], actual: readonly Float32Array[]): Agreement {
  let maxAbsDiff = 0;
  let minCosine = 1;
  expected.forEach((row, i) => {
    const other = actual[i]!;
    let [dot, rowSquares, otherSquares] = [0, 0, 0];
    for (let j = 0; j < row.length; j++) {
      const [a, b] = [row[j]!, other[j] ?? Number.NaN];
      // Not Math.max alone: a NaN must win.
      const diff = Math.abs(a - b);
      if (!(diff <= maxAbsDiff)) maxAbsDiff = diff;
      dot += a * b;
      rowSquares += a * a;
      otherSquares += b * b;
    }
    const cosine = dot / Math.sqrt(rowSquares * otherSquares);
    if (!(cosine >= minCosine)) minCosine = cosine;
  });
  return { numImages: expected.length, maxAbsDiff, minCosine };
}

/** @throws LookalikeError `nonFinite` or `gateRejected` when the export does not compute what was trained */
export function expectAgreement(what: string, agreement: Agreement): void {
  const { maxAbsDiff, minCosine } = agreement;
  if (!Number.isFinite(maxAbsDiff) || !Number.isFinite(minCosine)) {
    throw new LookalikeError('nonFinite', `Expected finite values from ${what}, got NaN or infinity.`);
  }
  if (maxAbsDiff > MAX_ABS_DIFF || minCosine < MIN_COSINE) {
    throw new LookalikeError(
      'gateRejected',
      `Expected ${what} in ONNX to agree with TensorFlow.js within ${MAX_ABS_DIFF} (cosine ${MIN_COSINE}), ` +
        `got ${maxAbsDiff} (cosine ${minCosine}). The model is not published.`,
      { maxAbsDiff, minCosine },
    );
  }
}
