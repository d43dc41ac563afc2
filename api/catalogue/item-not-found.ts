import { LookalikeError } from '../../contracts/errors.ts';
import type { CatalogueStore } from '../../contracts/registry.ts';

export function itemNotFound(catalogue: string, id: string): LookalikeError {
  return new LookalikeError('notFound', `Expected an item of catalogue "${catalogue}", got the unknown id "${id}".`);
}

/** Only asked once something came back empty: an empty catalogue and an unknown one differ. @throws LookalikeError `notFound` */
export async function requireCatalogue(store: CatalogueStore, catalogue: string): Promise<void> {
  const names = (await store.catalogues()).map((entry) => entry.catalogue);
  if (names.includes(catalogue)) return;
  const known = names.length === 0 ? 'none is imported yet' : `known are ${names.join(', ')}`;
  throw new LookalikeError('notFound', `Expected the name of a catalogue (${known}), got "${catalogue}".`);
}
