import type { Parameters } from './parameters.ts';

/** All that changes from step to step, each a flat vector of the same length. */
export interface TunedVectors {
  values: Float32Array;
  firstMoments: Float32Array;
  secondMoments: Float32Array;
  /** Running mean of the values. */
  averages: Float32Array;
}

export interface StepRates {
  /** Of the head; of the backbone before each parameter's own share. */
  head: number;
  backbone: number;
  weightDecay: number;
  /** How much of the running mean stays. */
  averaging: number;
  /** Steps before this one. */
  numUpdates: number;
}

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-12;

/**
 * One step of Adam (Kingma & Ba, arXiv 1412.6980, alg. 1) in place, in units of each channel's size; weight decay is decoupled
 * (Loshchilov & Hutter, arXiv 1711.05101) and draws the backbone towards `start` (L2-SP, Li et al., arXiv 1802.01483), the head towards zero.
 */
export function adamStep(
  { list }: Parameters,
  { values, firstMoments, secondMoments, averages }: TunedVectors,
  gradient: Float32Array,
  start: Float32Array,
  rates: StepRates,
): void {
  const { weightDecay, averaging, numUpdates } = rates;
  const first = 1 / (1 - BETA1 ** (numUpdates + 1));
  const spread = 1 / Math.sqrt(1 - BETA2 ** (numUpdates + 1));
  for (const { offset, length, rate: share, isBackbone, decays, scale } of list) {
    const rate = (isBackbone ? rates.backbone : rates.head) * share;
    const decay = decays ? rate * weightDecay : 0;
    const end = offset + length;
    const channels = scale.length;
    for (let row = offset; row < end; row += channels === 1 ? length : channels) {
      const last = channels === 1 ? end : row + channels;
      for (let i = row; i < last; i++) {
        const g = gradient[i]!;
        const m = firstMoments[i]! * BETA1 + g * (1 - BETA1);
        const v = secondMoments[i]! * BETA2 + g * g * (1 - BETA2);
        firstMoments[i] = m;
        secondMoments[i] = v;
        const size = channels === 1 ? scale[0]! : scale[i - row]!;
        const value = values[i]!;
        const target = isBackbone ? start[i]! : 0;
        const moved = value - (rate * size * first * m) / (Math.sqrt(v) * spread + EPSILON) - decay * (value - target);
        values[i] = moved;
        averages[i] = averages[i]! * averaging + moved * (1 - averaging);
      }
    }
  }
}
