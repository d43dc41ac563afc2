import { Inject, Injectable } from '@nestjs/common';
import type { BlobStore } from '../../contracts/artifacts.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { Registry } from '../../contracts/registry.ts';
import { BLOBS, REGISTRY, SEARCHER } from '../ports.ts';
import type { Searcher } from '../ports.ts';
import type { CatalogueListDto, CategoryListDto, ItemDto, ItemPageDto, ItemsQueryDto } from './catalogue.dto.ts';
import { imagePath } from './image-path.ts';
import { itemNotFound, requireCatalogue } from './item-not-found.ts';

/** Reads the catalogue of record for people and pages. */
@Injectable()
export class CatalogueService {
  private readonly registry: Registry;
  private readonly blobs: BlobStore;
  private readonly searcher: Searcher;

  constructor(
    @Inject(REGISTRY) registry: Registry,
    @Inject(BLOBS) blobs: BlobStore,
    @Inject(SEARCHER) searcher: Searcher,
  ) {
    this.registry = registry;
    this.blobs = blobs;
    this.searcher = searcher;
  }

  async list(): Promise<CatalogueListDto> {
    const catalogues = await this.registry.catalogue.catalogues();
    const serving = await Promise.all(catalogues.map(({ catalogue }) => this.serving(catalogue)));
    return { catalogues: catalogues.map((entry, i) => ({ ...entry, serving: serving[i] ?? null })) };
  }

  private async serving(catalogue: string): Promise<CatalogueListDto['catalogues'][number]['serving']> {
    const table = await this.searcher.currentTable(catalogue);
    if (table === undefined) return null;
    const { generation, model, dim } = table;
    const why = (await this.registry.generations.get(catalogue, generation))?.metrics['untrained'];
    return { generation, model, dim, untrained: typeof why === 'string' ? why : null };
  }

  async items(catalogue: string, { after, limit, category }: ItemsQueryDto): Promise<ItemPageDto> {
    const found = await this.registry.catalogue.listItems(catalogue, { afterId: after, limit: limit + 1, category });
    if (found.length === 0) await requireCatalogue(this.registry.catalogue, catalogue);
    const items = found.slice(0, limit);
    const nextAfter = found.length > limit ? (items.at(-1)?.id ?? null) : null;
    return { items: items.map((item) => toDto(catalogue, item)), nextAfter };
  }

  async categories(catalogue: string): Promise<CategoryListDto> {
    const categories = await this.registry.catalogue.categories(catalogue);
    if (categories.length === 0) await requireCatalogue(this.registry.catalogue, catalogue);
    return { categories };
  }

  async item(catalogue: string, id: string): Promise<ItemDto> {
    return toDto(catalogue, await this.find(catalogue, id));
  }

  /** @throws LookalikeError `notFound` | `corruptArtifact` */
  async image(catalogue: string, id: string): Promise<{ sha256: string; bytes: Buffer }> {
    const { image } = await this.find(catalogue, id);
    return { sha256: image, bytes: await this.blobs.get(image) };
  }

  private async find(catalogue: string, id: string): Promise<CatalogueItem> {
    const [item] = await this.registry.catalogue.getItems(catalogue, [id]);
    if (item !== undefined) return item;
    await requireCatalogue(this.registry.catalogue, catalogue);
    throw itemNotFound(catalogue, id);
  }
}

function toDto(catalogue: string, item: CatalogueItem): ItemDto {
  const { id, category, label, title, attributes } = item;
  return { id, category, label, title, attributes, imageUrl: imagePath(catalogue, item) };
}
