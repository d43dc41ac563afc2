import { Inject, Injectable } from '@nestjs/common';
import type { BlobStore } from '../../contracts/artifacts.ts';
import type { CropBox, PixelBox } from '../../contracts/crop.ts';
import { LookalikeError, assertNever } from '../../contracts/errors.ts';
import type { Registry } from '../../contracts/registry.ts';
import type { EmbedTimings, RoutingTable } from '../../contracts/serving.ts';
import { itemNotFound } from '../catalogue/item-not-found.ts';
import { requirePicture } from '../catalogue/picture-type.ts';
import { BLOBS, EMBEDDER, IMAGE_FETCHER, REGISTRY, SEARCHER } from '../ports.ts';
import type { Embedder, ImageFetcher, Searcher } from '../ports.ts';
import { refineVector } from './refine-vector.ts';
import type { SearchInput, SearchQuery } from './search-input.ts';

export interface QueryVector {
  vector: Float32Array;
  timingsMs: Partial<EmbedTimings> & { fetch?: number };
  /** What the crop of the query meant in its picture. */
  crop?: PixelBox;
}

/** Turns what somebody looks for into a vector of the serving model. */
@Injectable()
export class QueryVectorService {
  private readonly registry: Registry;
  private readonly blobs: BlobStore;
  private readonly searcher: Searcher;
  private readonly embedder: Embedder;
  private readonly fetchImage: ImageFetcher;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(BLOBS) blobs: BlobStore,
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(EMBEDDER) embedder: Embedder,
    @Inject(IMAGE_FETCHER) fetchImage: ImageFetcher,
  ) {
    this.registry = registry;
    this.blobs = blobs;
    this.searcher = searcher;
    this.embedder = embedder;
    this.fetchImage = fetchImage;
  }

  /**
   * Of what is asked for, moved by the examples.
   * @throws LookalikeError `notFound` | `dimensionMismatch` | `imageRejected` | `forbiddenUrl` | `unavailable` | …
   */
  async of(
    table: RoutingTable,
    { query, moreLike = [], lessLike = [] }: Pick<SearchInput, 'query' | 'moreLike' | 'lessLike'>,
    signal: AbortSignal,
  ): Promise<QueryVector> {
    const vectorsOf = async (ids: readonly string[]): Promise<Float32Array[]> =>
      (await Promise.all(ids.map((id) => this.ofItem(table, id, signal)))).map(({ vector }) => vector);
    const [asked, wanted, unwanted] = await Promise.all([
      query.kind === 'examples' ? null : this.ofQuery(table, query, signal),
      vectorsOf(moreLike),
      vectorsOf(lessLike),
    ]);
    const vector = refineVector(asked === null ? wanted : [asked.vector, ...wanted], unwanted);
    return { vector, timingsMs: asked?.timingsMs ?? {}, ...(asked?.crop && { crop: asked.crop }) };
  }

  private async ofQuery(
    table: RoutingTable,
    query: Exclude<SearchQuery, { kind: 'examples' }>,
    signal: AbortSignal,
  ): Promise<QueryVector> {
    switch (query.kind) {
      case 'vector':
        checkModel(query.model, table);
        return { vector: checkDim(query.vector, table), timingsMs: {} };
      case 'item':
        return await this.ofItem(table, query.id, signal);
      case 'image':
        return await this.ofPicture(table, query.bytes, signal, query.crop);
      case 'imageUrl': {
        const started = performance.now();
        const bytes = await this.fetchImage(query.url, signal);
        const fetch = performance.now() - started;
        const { timingsMs, ...embedded } = await this.ofPicture(table, bytes, signal, query.crop);
        return { ...embedded, timingsMs: { fetch, ...timingsMs } };
      }
      default:
        return assertNever(query);
    }
  }

  /** The stored vector; an item newer than the serving generation is embedded on the spot. */
  private async ofItem(table: RoutingTable, id: string, signal: AbortSignal): Promise<QueryVector> {
    const stored = await this.searcher.vectorOf(table, id, signal);
    if (stored !== undefined) return { vector: stored, timingsMs: {} };
    const [item] = await this.registry.catalogue.getItems(table.catalogue, [id]);
    if (item === undefined) throw itemNotFound(table.catalogue, id);
    return await this.ofPicture(table, await this.blobs.get(item.image), signal);
  }

  private async ofPicture(
    table: RoutingTable,
    bytes: Buffer,
    signal: AbortSignal,
    crop?: CropBox,
  ): Promise<QueryVector> {
    requirePicture(bytes);
    return await this.embedder.embed(table.model, bytes, { crop, signal });
  }
}

/** Vectors of equal length may still be of different models, and mean nothing to each other. */
function checkModel(model: string | undefined, table: RoutingTable): void {
  if (model === undefined || model === table.model) return;
  throw new LookalikeError(
    'conflict',
    `Expected a \`vector\` of the model that serves, ${table.model}, got one of ${model}: embed the picture again with the new one.`,
    { serving: table.model },
  );
}

function checkDim(vector: Float32Array, table: RoutingTable): Float32Array {
  if (vector.length === table.dim) return vector;
  throw new LookalikeError(
    'dimensionMismatch',
    `Expected \`vector\` to hold ${table.dim} values (model ${table.model}), got ${vector.length}.`,
    { expected: table.dim, got: vector.length },
  );
}
