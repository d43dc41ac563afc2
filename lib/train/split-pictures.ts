import type { SnapshotRow } from '../../contracts/catalogue.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import { isJudgeable } from './judgeable.ts';
import { randomOf } from './random.ts';
import { HOLDOUT_SHARE, splitSnapshot } from './split.ts';
import type { LabelledPicture, Split } from './split.ts';

/** The split of a snapshot for a training: by its labels or, with `supervision: views`, by its pictures. A pure function of both. */
export function splitFor(rows: readonly SnapshotRow[], supervision: TrainConfig['supervision'] = 'labels'): Split {
  return supervision === 'views' ? splitPictures(rows) : splitSnapshot(rows);
}

/**
 * For learning without labels: every distinct picture is a label of its own, whose views are alike. Where answers are known all the
 * same, they judge, as in `splitSnapshot`, and what asks is not learnt from. Else a picture is held out by its hash alone; then its
 * augmented views ask, and the plain views of all pictures answer.
 */
function splitPictures(rows: readonly SnapshotRow[]): Split {
  const known = splitSnapshot(rows);
  const items = distinct(rows.filter(({ role }) => role === 'item'));
  const shown = distinct(rows.filter((row) => row.role === 'item' || row.split === 'train'));
  const without = (asking: readonly LabelledPicture[]): LabelledPicture[] => {
    const images = new Set(asking.map(({ image }) => image));
    return shown.filter(({ image }) => !images.has(image));
  };
  if (isJudgeable(known)) {
    const { queries, catalogue, withheld } = known;
    const asking = new Set(queries.map(({ image }) => image));
    const spared = distinct(withheld).filter(({ image }) => asking.has(image));
    return { train: without(queries), queries, catalogue, withheld: spared };
  }
  const held = heldOut(items);
  return { train: without(held), queries: held, catalogue: items, withheld: held, asks: 'augmented' };
}

/** A small catalogue may draw none; one is then held out all the same, for without a query nothing can be judged. */
function heldOut(pictures: readonly LabelledPicture[]): LabelledPicture[] {
  const drawn = pictures.map((picture) => ({ picture, at: randomOf('holdout', picture.image)() }));
  const below = drawn.filter(({ at }) => at < HOLDOUT_SHARE);
  const [first] = drawn.toSorted((a, b) => a.at - b.at);
  const held = below.length > 0 ? below : first === undefined ? [] : [first];
  return held.map(({ picture }) => picture);
}

function distinct(rows: readonly { image: string }[]): LabelledPicture[] {
  return [...new Set(rows.map(({ image }) => image))].map((image) => ({ image, label: image }));
}
