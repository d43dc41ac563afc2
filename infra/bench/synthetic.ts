import { setImmediate as pause } from 'node:timers/promises';
import { randomFrom } from '../../lib/images/random.ts';
import type { VectorSet } from './vector-set.ts';

export interface SyntheticOptions {
  size: number;
  dim: number;
  /** Centres of the mixture. Default: a hundredth of the rows. */
  numClusters?: number;
  /**
   * In how many directions rows stray from their centre: embeddings of pictures fill far fewer dimensions than they have.
   * At `dim` or above they stray in all alike, the hardest case for every index. Default: 32.
   */
  noiseRank?: number;
  seed: number;
  signal?: AbortSignal;
}

/** How far rows stray from their centre, in each dimension, when centres are drawn from N(0, 1). */
const SPREAD = 0.8;
/** Of it, the part that strays in all directions alike: no row lies exactly in a subspace. */
const ISOTROPIC = 0.1;
const ROWS_PER_PAUSE = 2_000;

/**
 * A seeded Gaussian mixture: row = centre + spread * (B z + 0.1 e), with z and e standard normal and B [dim, noiseRank] drawn
 * once with rows of about unit length.
 */
export async function syntheticVectors(options: SyntheticOptions): Promise<VectorSet> {
  const { size, dim, seed, signal } = options;
  const numClusters = options.numClusters ?? Math.max(1, Math.ceil(size / 100));
  const rank = Math.min(options.noiseRank ?? 32, dim);
  const isFull = rank === dim;
  const random = randomFrom(seed);
  const gauss = normalFrom(random);
  const centres = fill(new Float32Array(numClusters * dim), gauss);
  // [rank, dim]: row after row of it is added to a whole vector.
  const basis = fill(new Float32Array(isFull ? 0 : rank * dim), () => (gauss() * SPREAD) / Math.sqrt(rank));
  const data = new Float32Array(size * dim);
  for (let row = 0; row < size; row++) {
    if (row % ROWS_PER_PAUSE === 0) {
      await pause();
      signal?.throwIfAborted();
    }
    const centre = Math.floor(random() * numClusters) * dim;
    const out = data.subarray(row * dim, (row + 1) * dim);
    const spread = isFull ? SPREAD : SPREAD * ISOTROPIC;
    for (let i = 0; i < dim; i++) out[i] = centres[centre + i]! + spread * gauss();
    for (let r = 0; r < basis.length / dim; r++) {
      const z = gauss();
      const at = r * dim;
      for (let i = 0; i < dim; i++) out[i]! += z * basis[at + i]!;
    }
  }
  return { data, size, dim };
}

function fill(out: Float32Array, draw: () => number): Float32Array {
  for (let i = 0; i < out.length; i++) out[i] = draw();
  return out;
}

/** Standard normal numbers, two from each pair of uniform ones (Box and Muller 1958). */
function normalFrom(random: () => number): () => number {
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - random()));
    const angle = 2 * Math.PI * random();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}
