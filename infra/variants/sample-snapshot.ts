import type { SnapshotRow } from '../../contracts/catalogue.ts';
import { splitSnapshot } from '../../lib/train/split.ts';
import type { LabelledPicture } from '../../lib/train/split.ts';

/** Pictures that a variant is calibrated on, and labelled ones that it is judged by. */
export interface SnapshotSample {
  /** SHA-256s. */
  calibration: string[];
  queries: LabelledPicture[];
  catalogue: LabelledPicture[];
}

/** At most so many of each: enough for a standard error of about 0.02, few enough for a minute or two. */
export interface SampleSizes {
  calibration: number;
  queries: number;
  catalogue: number;
}

/**
 * A pure function of the rows: pictures in the order of their hashes, which is as good as drawn. Queries that judge are not
 * calibrated on; of the catalogue, all labels that are asked for come first, so that a query can be answered.
 */
export function sampleSnapshot(rows: readonly SnapshotRow[], sizes: SampleSizes): SnapshotSample {
  const split = splitSnapshot(rows);
  const queries = split.queries.toSorted(byImage).slice(0, sizes.queries);
  const judging = new Set(split.queries.map(({ image }) => image));
  const isSeen = (row: SnapshotRow): boolean => row.role === 'item' || row.split === 'train';
  const images = new Set(rows.filter(isSeen).map(({ image }) => image));
  const asked = new Set(queries.map(({ label }) => label));
  const [wanted, others] = [true, false].map((isWanted) =>
    split.catalogue.filter(({ label }) => asked.has(label) === isWanted).toSorted(byImage),
  );
  return {
    calibration: [...images]
      .filter((image) => !judging.has(image))
      .sort()
      .slice(0, sizes.calibration),
    queries,
    catalogue: [...wanted!, ...others!].slice(0, sizes.catalogue),
  };
}

function byImage(a: LabelledPicture, b: LabelledPicture): number {
  return a.image < b.image ? -1 : Number(a.image > b.image);
}
