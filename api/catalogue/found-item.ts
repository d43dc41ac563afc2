import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { SearchHit } from '../../contracts/serving.ts';
import { imagePath } from './image-path.ts';

/** What an answer says of an item that was found, beside its score. */
export function foundItem(catalogue: string, item: CatalogueItem): Omit<SearchHit, 'score'> {
  const { id, category, title, attributes } = item;
  return { id, category, title, attributes, imageUrl: imagePath(catalogue, item) };
}
