import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { createCatalogueActivities } from '../../activities/catalogue.ts';
import type { CatalogueDeps } from '../../activities/catalogue.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { Stores } from '../../infra/stores.ts';
import { openTestStores } from '../infra/artifacts/open-test-stores.ts';

const item = (id: string, label: string | null): CatalogueItem => ({
  ...{ id, image: id.padStart(64, '0'), category: null, label, title: null, attributes: {} },
});

/** As a worker runs it; snapshots need no client. */
function takeSnapshot(stores: Stores) {
  const activities = createCatalogueActivities({ stores, client: {} as CatalogueDeps['client'] });
  return new MockActivityEnvironment().run(() => activities.takeSnapshot({ catalogue: 'c' }));
}

async function refusal(stores: Stores): Promise<string> {
  const failure: unknown = await takeSnapshot(stores).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApplicationFailure);
  expect(failure).toMatchObject({ type: 'invalidInput', nonRetryable: true });
  return (failure as Error).message;
}

describe('takeSnapshot', () => {
  it('refuses at once a catalogue that nothing can be learnt from, and says what to do', async () => {
    const stores = await openTestStores();
    await stores.registry.catalogue.upsertItems('c', [item('1', 'x'), item('2', 'x'), item('3', null)]);
    expect(await refusal(stores)).toContain('Give items a category or a label.');
  });

  it('refuses at once a catalogue whose models nothing could judge, until holdout examples are there', async () => {
    const stores = await openTestStores();
    await stores.registry.catalogue.upsertItems('c', [item('1', 'x'), item('2', 'y')]);
    expect(await refusal(stores)).toContain('lookalike catalogue import FILE --as holdout');
    const example = { id: 'q', image: 'f'.repeat(64), label: 'x', split: 'holdout' as const };
    await stores.registry.catalogue.upsertExamples('c', [example]);
    expect(await takeSnapshot(stores)).toMatchObject({ numItems: 2, numExamples: 1, numImages: 3 });
  });
});
