import { randomFrom } from '../../lib/images/random.ts';

/** `count` of them by a seeded partial shuffle, which changes the list; all where there are no more. */
export function sampled<T>(all: T[], count: number, seed: number): T[] {
  const random = randomFrom(seed);
  const taken = Math.min(count, all.length);
  for (let i = 0; i < taken; i++) {
    const j = i + Math.floor(random() * (all.length - i));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, taken);
}
