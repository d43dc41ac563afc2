/** mulberry32: enough randomness for test data. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Points around a few centres, as embeddings of products lie. */
export function seededVectors(count: number, dim: number, seed: number, numClusters = 20): Float32Array[] {
  const random = seededRandom(seed);
  const gauss = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: numClusters }, () => Float32Array.from({ length: dim }, gauss));
  return Array.from({ length: count }, () => {
    const centre = centres[Math.floor(random() * numClusters)]!;
    return centre.map((value) => value + 0.6 * gauss());
  });
}
