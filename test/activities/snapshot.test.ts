import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { describe, expect, it } from 'vitest';
import { createCatalogueActivities } from '../../activities/catalogue.ts';
import type { CatalogueDeps } from '../../activities/catalogue.ts';
import type { SnapshotMade } from '../../activities/interfaces.ts';
import type { CatalogueItem } from '../../contracts/catalogue.ts';
import type { Stores } from '../../infra/stores.ts';
import { openTestStores } from '../infra/artifacts/open-test-stores.ts';

const item = (id: string, label: string | null): CatalogueItem => ({
  ...{ id, image: id.padStart(64, '0'), category: null, label, title: null, attributes: {} },
});

/** As a worker runs it; snapshots need no client. */
function takeSnapshot(stores: Stores) {
  const activities = createCatalogueActivities({ stores, client: {} as CatalogueDeps['client'] });
  return new MockActivityEnvironment().run((): Promise<SnapshotMade> => activities.takeSnapshot({ catalogue: 'c' }));
}

describe('takeSnapshot', () => {
  it('refuses an empty catalogue', async () => {
    const failure: unknown = await takeSnapshot(await openTestStores()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: 'invalidInput', nonRetryable: true });
    expect((failure as Error).message).toContain('lookalike catalogue import');
  });

  it('takes a catalogue that nothing can be learnt from, and tells so at once', async () => {
    const stores = await openTestStores();
    await stores.registry.catalogue.upsertItems('c', [item('1', 'x'), item('2', 'x'), item('3', null)]);
    const made = await takeSnapshot(stores);
    expect(made).toMatchObject({ reused: false, numItems: 3 });
    expect(made.untrained).toContain('Give items a category or a label.');
    expect((await stores.artifacts.get(made.artifact)).manifest.summary).not.toHaveProperty('untrained');
  });

  it('tells what nothing could judge, until holdout examples are there', async () => {
    const stores = await openTestStores();
    await stores.registry.catalogue.upsertItems('c', [item('1', 'x'), item('2', 'y')]);
    expect((await takeSnapshot(stores)).untrained).toContain('lookalike catalogue import FILE --as holdout');
    const example = { id: 'q', image: 'f'.repeat(64), label: 'x', split: 'holdout' as const };
    await stores.registry.catalogue.upsertExamples('c', [example]);
    const made = await takeSnapshot(stores);
    expect(made).toMatchObject({ numItems: 2, numExamples: 1, numImages: 3 });
    expect(made).not.toHaveProperty('untrained');
  });
});
