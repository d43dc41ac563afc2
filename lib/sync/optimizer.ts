import type { OptimizerConfig } from './protocol.ts';

/** One range of the flat vector in training: P values and their moments, float32, updated in place. */
export interface OptimizerState {
  values: Float32Array;
  /** Momentum of `sgd`, mean of `adam`; untouched by `adagrad`. */
  firstMoments: Float32Array;
  /** Uncentred variance of `adam`, sum of squares of `adagrad`; untouched by `sgd`. */
  secondMoments: Float32Array;
}

/** A range of the vector, `end` exclusive. */
export interface Range {
  start: number;
  end: number;
}

/** One update of `state` in place. `numUpdates` is how many came before it, which Adam's bias correction needs. */
export type Update = (
  state: OptimizerState,
  gradient: Float32Array,
  rates: { learningRate: number; numUpdates: number },
) => void;

// The same constants as of a head trained in one process, so that one worker and many learn the same.
const BETA1 = 0.9;
const BETA2 = 0.999;
const ADAM_EPSILON = 1e-8;
const ADAGRAD_EPSILON = 1e-10;

/**
 * SGD with momentum; Adam (Kingma & Ba, arXiv 1412.6980, alg. 1); or Adagrad (Duchi et al., JMLR 12, 2011), which tames stale
 * gradients (Dean et al., NIPS 2012, sec. 4.1). Weight decay is decoupled from the gradient (Loshchilov & Hutter, arXiv
 * 1711.05101) and applies in `decayRanges` only. State is float32; each element is computed in double precision and rounded
 * when stored. The update allocates nothing.
 */
export function createOptimizer(
  { kind, momentum, weightDecay }: OptimizerConfig,
  decayRanges: readonly Range[],
  length: number,
): Update {
  const segments = segmentsOf(decayRanges, length);
  return (state, gradient, { learningRate, numUpdates }) => {
    for (const { start, end, decays } of segments) {
      const kept = decays ? 1 - learningRate * weightDecay : 1;
      if (kind === 'sgd') sgd(state, gradient, start, end, learningRate, kept, momentum);
      else if (kind === 'adam') adam(state, gradient, start, end, learningRate, kept, numUpdates + 1);
      else adagrad(state, gradient, start, end, learningRate, kept);
    }
  };
}

function sgd(
  { values, firstMoments }: OptimizerState,
  gradient: Float32Array,
  start: number,
  end: number,
  learningRate: number,
  kept: number,
  momentum: number,
): void {
  for (let i = start; i < end; i++) {
    const velocity = Math.fround(firstMoments[i]! * momentum + gradient[i]!);
    firstMoments[i] = velocity;
    values[i] = values[i]! * kept - velocity * learningRate;
  }
}

function adam(
  { values, firstMoments, secondMoments }: OptimizerState,
  gradient: Float32Array,
  start: number,
  end: number,
  learningRate: number,
  kept: number,
  t: number,
): void {
  // mean / (sqrt(variance) + epsilon), both corrected for their start at zero, with the divisions taken out of the loop.
  const rate = learningRate / (1 - BETA1 ** t);
  const spread = 1 / Math.sqrt(1 - BETA2 ** t);
  for (let i = start; i < end; i++) {
    const g = gradient[i]!;
    const first = Math.fround(firstMoments[i]! * BETA1 + g * (1 - BETA1));
    const second = Math.fround(secondMoments[i]! * BETA2 + g * g * (1 - BETA2));
    firstMoments[i] = first;
    secondMoments[i] = second;
    values[i] = values[i]! * kept - (rate * first) / (Math.sqrt(second) * spread + ADAM_EPSILON);
  }
}

function adagrad(
  { values, secondMoments }: OptimizerState,
  gradient: Float32Array,
  start: number,
  end: number,
  learningRate: number,
  kept: number,
): void {
  for (let i = start; i < end; i++) {
    const g = gradient[i]!;
    const sum = Math.fround(secondMoments[i]! + g * g);
    secondMoments[i] = sum;
    values[i] = values[i]! * kept - (learningRate * g) / (Math.sqrt(sum) + ADAGRAD_EPSILON);
  }
}

/** The whole vector in order, cut where decay starts and ends. */
function segmentsOf(decayRanges: readonly Range[], length: number): (Range & { decays: boolean })[] {
  const segments: (Range & { decays: boolean })[] = [];
  let at = 0;
  for (const { start, end } of [...decayRanges].sort((a, b) => a.start - b.start)) {
    if (start > at) segments.push({ start: at, end: start, decays: false });
    segments.push({ start, end, decays: true });
    at = end;
  }
  if (at < length) segments.push({ start: at, end: length, decays: false });
  return segments;
}
