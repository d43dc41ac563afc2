import type { Artifact, ArtifactStore } from '../../contracts/artifacts.ts';
import { LookalikeError } from '../../contracts/errors.ts';
import { listHash } from './image-list.ts';
import { readPlan } from './plan-embedding.ts';
import { embeddingsDerivation, publishEmbeddings } from './publish-embeddings.ts';
import { openEmbeddings } from './read-embeddings.ts';
import type { StoredEmbeddings } from './read-embeddings.ts';

type Source = Pick<StoredEmbeddings, 'id' | 'images' | 'rejected' | 'dim'>;

/**
 * The embeddings of a plan's pictures from its finished chunks and the earlier artefact. Its bytes depend on model, pictures and
 * views alone: whether it was put together from an earlier artefact, also one of more views, or made from nothing does not show.
 * @throws LookalikeError `notFound` while a chunk is missing
 */
export async function assembleEmbeddings(options: {
  stores: { artifacts: ArtifactStore };
  plan: string;
  model: string;
  views: number;
  signal: AbortSignal;
}): Promise<Artifact> {
  const { stores, plan, model, views, signal } = options;
  const { images, chunks, previous } = await readPlan(stores, plan);
  const derivation = embeddingsDerivation('embeddings', { model, views, images: listHash(images) });
  const made = await stores.artifacts.find(derivation);
  if (made !== undefined) return made;

  const ids = await Promise.all(chunks.map((chunk, number) => chunkOf(stores, model, views, chunk, number)));
  // A catalogue has more chunks than a process may open files: each is looked at, closed, and opened again when its turn comes.
  const sources: Source[] = [];
  for (const id of [...(previous === null ? [] : [previous]), ...ids]) {
    await using source = await openEmbeddings(stores, id);
    sources.push({ id, images: source.images, rejected: source.rejected, dim: source.dim });
  }
  const first = sources[0];
  if (first === undefined)
    throw new LookalikeError('invalidInput', `Expected plan ${plan} to name pictures, got none.`);
  const { dim } = first;

  const wanted = new Set(images);
  const where = new Map(
    sources.flatMap(({ id, images: held }) => held.map((image, row) => [image, { id, row }] as const)),
  );
  const rejected = sources
    .flatMap((source) => source.rejected)
    .filter(({ image }) => wanted.has(image))
    .sort((a, b) => (a.image < b.image ? -1 : 1));
  const embedded = images.filter((image) => where.has(image));
  if (embedded.length + rejected.length !== images.length) {
    throw new LookalikeError(
      'corruptArtifact',
      `Expected vectors or reasons for ${images.length} pictures of ${plan}, got ${embedded.length + rejected.length}.`,
    );
  }

  async function* inOrder(): AsyncGenerator<Float32Array> {
    await using earlier = previous === null ? undefined : await openEmbeddings(stores, previous);
    let chunk: StoredEmbeddings | undefined;
    try {
      for (const image of embedded) {
        signal.throwIfAborted();
        const { id, row } = where.get(image)!;
        if (id !== previous && id !== chunk?.id) {
          await chunk?.[Symbol.asyncDispose]();
          chunk = await openEmbeddings(stores, id);
        }
        const source = id === previous ? earlier : chunk;
        const rows = await source!.read(row, 1);
        // The earlier artefact may hold more views: these are the first of them.
        yield rows.subarray(0, views * dim);
      }
    } finally {
      await chunk?.[Symbol.asyncDispose]();
    }
  }
  const { summary } = (await stores.artifacts.get(first.id)).manifest;
  return publishEmbeddings(stores, {
    derivation,
    views,
    dim,
    normalised: summary.normalised === true,
    images: embedded,
    rejected,
    vectors: inOrder(),
  });
}

async function chunkOf(
  stores: { artifacts: ArtifactStore },
  model: string,
  views: number,
  chunk: readonly string[],
  number: number,
): Promise<string> {
  const made = await stores.artifacts.find(
    embeddingsDerivation('embeddingChunk', { model, views, images: listHash(chunk) }),
  );
  if (made === undefined) {
    throw new LookalikeError('notFound', `Expected chunk ${number} to be embedded, but the store does not hold it.`);
  }
  return made.id;
}
