import { hashOf } from '../ann/shard-of.ts';

/**
 * Who of several does a piece of work, agreed upon without a word (rendezvous hashing): all who know the same candidates name the same,
 * and when one leaves only its own work moves. Undefined without candidates.
 */
export function ownerOf(work: string, candidates: readonly string[]): string | undefined {
  let owner: string | undefined;
  let highest = -1;
  for (const candidate of candidates) {
    const weight = hashOf(`${candidate}\n${work}`);
    if (weight < highest || (weight === highest && candidate > owner!)) continue;
    highest = weight;
    owner = candidate;
  }
  return owner;
}
