/**
 * Orders what was found by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each next one is the most relevant and the
 * least like those before it. Values never increase along the order, since what is picked only takes away from the rest.
 * @param relevance of each, in the scale of a cosine
 * @param vectors of each, of unit length
 * @param diversity 0: by relevance alone; 1: the first by relevance, each next by unlikeness alone
 * @returns indices, best first, and by index the value that it was picked with: (1 - diversity) relevance - diversity likeness
 */
export function maximalMarginalRelevance(
  relevance: ArrayLike<number>,
  vectors: readonly Float32Array[],
  diversity: number,
): { order: number[]; values: Float64Array } {
  const count = relevance.length;
  // As unlike as can be to what is not there yet.
  const likeness = new Float64Array(count).fill(-1);
  const values = new Float64Array(count);
  // In the order given, so that the first of equals is picked.
  let left = Array.from({ length: count }, (_, i) => i);
  const order: number[] = [];
  while (left.length > 0) {
    let best = left[0]!;
    for (const i of left) {
      values[i] = (1 - diversity) * relevance[i]! - diversity * likeness[i]!;
      if (values[i] > values[best]!) best = i;
    }
    left = left.filter((i) => i !== best);
    order.push(best);
    for (const i of left) likeness[i] = Math.max(likeness[i]!, dot(vectors[best]!, vectors[i]!));
  }
  return { order, values };
}

export function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
