import { randomOf } from '../train/random.ts';
import type { Stragglers } from './setup.ts';

/** Draws each step's computing time of a replica; a pure function of (seed, replica, step), so that strategies meet the same stragglers. */
export function computeTimes(
  meanSeconds: number,
  { variation, slowShare, slowFactor }: Stragglers,
  seed: number,
): (replica: number, step: number) => number {
  // A log-normal of mean 1 and the wanted coefficient of variation.
  const variance = Math.log(1 + variation * variation);
  const sigma = Math.sqrt(variance);
  return (replica, step) => {
    const random = randomOf(seed, 'compute', replica, step);
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const factor = Math.exp(sigma * normal - variance / 2);
    return meanSeconds * factor * (random() < slowShare ? slowFactor : 1);
  };
}
