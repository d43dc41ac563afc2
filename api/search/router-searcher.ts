import { isLookalikeError } from '../../contracts/errors.ts';
import type { Router } from '../../infra/router/router.ts';
import type { Searcher } from '../ports.ts';

/** The router as the search service sees it: "nothing there" is an answer, not an error. */
export function routerSearcher(router: Router): Searcher {
  return {
    search: (query) => router.search(query),
    async vectorOf(table, itemId, signal) {
      try {
        return (await router.vectorOf(table.catalogue, itemId, { table, signal })).vector;
      } catch (error) {
        // Only "this item is not indexed" names the item; a shard that is not there is for the router to find again.
        if (isLookalikeError(error) && error.code === 'notFound' && error.details['itemId'] === itemId)
          return undefined;
        throw error;
      }
    },
    vectorsOf: (table, itemIds, signal) => router.vectorsOf(table, itemIds, { signal }),
    deltaStatus: (catalogue) => orNothing(router.deltaStatus(catalogue)),
    currentTable: (catalogue) => orNothing(router.currentTable(catalogue)),
  };
}

async function orNothing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isLookalikeError(error) && error.code === 'notFound') return undefined;
    throw error;
  }
}
