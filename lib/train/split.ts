import { labelOf } from '../../contracts/catalogue.ts';
import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { randomOf } from './random.ts';

export interface LabelledPicture {
  /** SHA-256 of the picture. */
  image: string;
  label: string;
}

/** What is learnt from, and the retrieval task that judges: queries that the model never saw against the catalogue. */
export interface Split {
  train: LabelledPicture[];
  queries: LabelledPicture[];
  catalogue: LabelledPicture[];
  /** Items that only judge for want of holdout examples: once judged, a model that serves may learn from them too. */
  withheld: LabelledPicture[];
  /** The queries are the augmented views of their pictures, as nobody knows what other picture shows the same. Absent: the plain ones. */
  asks?: 'augmented';
}

/** Where the snapshot has no holdout examples: the share of labelled items that only judge. */
export const HOLDOUT_SHARE = 0.1;

/**
 * Splits a snapshot, as a pure function of its rows. With holdout examples, they are the queries, and all items are the
 * catalogue. Without, an item is held out by a hash of its id alone, so that it stays held out in every later snapshot and every
 * model is judged by queries that no model learnt from; at least one item of each label stays. Unlabelled items take no part. A
 * picture that is learnt from is never a query.
 */
export function splitSnapshot(rows: readonly SnapshotRow[]): Split {
  const items = rows.flatMap((row) => {
    const label = row.role === 'item' ? labelOf(row) : null;
    return label === null ? [] : [{ id: row.id, image: row.image, label }];
  });
  const examples = rows.flatMap((row) => (row.role === 'example' ? [row] : []));
  const learnt = examples.filter(({ split }) => split === 'train');
  const holdout = examples.filter(({ split }) => split === 'holdout');
  const judging = new Set(holdout.length > 0 ? [] : heldOut(items));
  const kept = items.filter((item) => !judging.has(item));
  const train = [...kept, ...learnt].map(picture);
  const seen = new Set(train.map(({ image }) => image));
  const queries = [...holdout, ...judging].filter(({ image }) => !seen.has(image)).map(picture);
  return { train, queries, catalogue: kept.map(picture), withheld: [...judging].map(picture) };
}

function heldOut<T extends LabelledPicture & { id: string }>(items: readonly T[]): T[] {
  const groups = [...Map.groupBy(items, ({ label }) => label).values()].map((group) =>
    group.map((item) => ({ item, at: randomOf('holdout', item.id)() })).sort((a, b) => a.at - b.at),
  );
  const judging = groups.flatMap((group) => {
    const below = group.filter(({ at }) => at < HOLDOUT_SHARE);
    return below.length < group.length ? below : group.slice(1);
  });
  if (judging.length > 0) return judging.map(({ item }) => item);
  // A small catalogue may draw none; one is then held out all the same, for without a query nothing can be judged.
  const numUses = Map.groupBy(items, ({ image }) => image);
  const spare = groups.filter(({ length }) => length > 1).flat();
  const [first] = spare.filter(({ item }) => numUses.get(item.image)!.length === 1).sort((a, b) => a.at - b.at);
  return first === undefined ? [] : [first.item];
}

function picture({ image, label }: LabelledPicture): LabelledPicture {
  return { image, label };
}
