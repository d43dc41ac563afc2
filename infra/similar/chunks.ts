import type { ShardSummary } from '../../contracts/ann.ts';
import type { ArtifactStore, Derivation } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import type { SimilarConfig } from '../../contracts/similar.ts';

/** The items of one activity: rows [from, to) of one shard. */
export interface SimilarChunk {
  shard: number;
  from: number;
  to: number;
}

/** What `similarItems` knows of an index. */
export interface IndexedItems {
  /** Shard artefacts, shard 0 first, and their rows. */
  shards: string[];
  sizes: number[];
  metric: ShardSummary['spec']['metric'];
}

/** Near-duplicates fill places in a list: this many more are looked for than will be kept. */
const SPARE = 16;

/** Neighbours that are looked for, before near-duplicates are taken together. */
export const lookedFor = ({ k }: SimilarConfig): number => k + SPARE;

/** @throws LookalikeError `notFound` | `invalidInput` when the artefact is no index */
export async function indexedItems(artifacts: ArtifactStore, index: string): Promise<IndexedItems> {
  const { manifest } = await artifacts.get(index);
  if (manifest.kind !== 'index') {
    throw new LookalikeError(
      'invalidInput',
      `Expected ${index} to be an index, got an artefact of kind ${manifest.kind}.`,
    );
  }
  const { numShards, spec } = manifest.summary as unknown as { numShards: number; spec: ShardSummary['spec'] };
  const shards = Array.from({ length: numShards }, (_, i) => manifest.inputs[`shard${i}`]!);
  const summaries = await Promise.all(shards.map(async (id) => (await artifacts.get(id)).manifest.summary));
  return { shards, sizes: summaries.map(({ size }) => Number(size)), metric: spec.metric };
}

/** All chunks of an index, shard by shard. */
export function chunksOf(sizes: readonly number[], chunkItems: number): SimilarChunk[] {
  return sizes.flatMap((size, shard) =>
    Array.from({ length: Math.ceil(size / chunkItems) }, (_, i) => ({
      shard,
      from: i * chunkItems,
      to: Math.min((i + 1) * chunkItems, size),
    })),
  );
}

export function chunkDerivation(index: string, config: SimilarConfig, chunk: number): Derivation {
  const { withinCategory, exact, chunkItems } = config;
  return {
    kind: 'similarChunk',
    inputs: { index },
    config: { k: lookedFor(config), withinCategory, exact, chunkItems, chunk },
    seed: null,
  };
}

/** @param nearDuplicateScore as resolved for the index's metric */
export function similarDerivation(
  index: string,
  { k, withinCategory, exact, chunkItems }: SimilarConfig,
  nearDuplicateScore: number | null,
): Derivation {
  return {
    kind: 'similarItems',
    inputs: { index },
    config: { k, withinCategory, exact, chunkItems, nearDuplicateScore },
    seed: null,
  };
}

/** The score from which on two items are near-duplicates. Other metrics have no scale of their own: nothing is assumed. */
export function nearDuplicateScore(config: SimilarConfig, metric: IndexedItems['metric']): number | null {
  if (config.nearDuplicateScore !== undefined) return config.nearDuplicateScore;
  return metric === 'cosine' ? 0.98 : null;
}
