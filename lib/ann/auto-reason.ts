import { LookalikeError } from '../../contracts/errors.ts';
import type { IndexSpec } from '../../contracts/ann.ts';
import type { AutoInput, AutoMeasured } from './auto.ts';

/** Why the choice fell as it did, with the runner-up of another kind, and what exact search would take. */
export function reasonFor(
  best: AutoMeasured,
  measured: readonly AutoMeasured[],
  { recall, maxBytes, k, numRows }: AutoInput,
  { small, large }: { small: number; large: number },
): string {
  const isGood = (one: AutoMeasured): boolean =>
    one.expectedRecall >= recall && (maxBytes === null || one.expectedBytes <= maxBytes);
  const [second] = measured
    .filter((one) => one.spec.kind !== best.spec.kind && isGood(one))
    .toSorted((a, b) => a.expectedMillis - b.expectedMillis);
  const wanted = maxBytes === null ? '' : ` in at most ${mebibytes(maxBytes)}`;
  const basis =
    numRows <= large
      ? `measured on ${large} rows`
      : `carried on from ${small} and ${large} sampled rows to ${numRows}; the check of the built index decides`;
  return [
    `${described(best.spec)} answers soonest of what finds ${recall} of the true ${k} nearest${wanted}:`,
    `${told(best)}.`,
    second === undefined ? 'No other kind does.' : `Next is ${described(second.spec)}: ${told(second)}.`,
    `(${basis[0]!.toUpperCase()}${basis.slice(1)}.)`,
  ].join(' ');
}

/** @returns the error that says what the smallest candidate needs */
export function tooSmall(measured: readonly AutoMeasured[], numRows: number, maxBytes: number): LookalikeError {
  const least = measured.reduce((a, b) => (b.expectedBytes < a.expectedBytes ? b : a));
  return new LookalikeError(
    'invalidInput',
    `Expected an index of ${numRows} rows in at most ${mebibytes(maxBytes)}, and the smallest (${described(least.spec)}) needs ` +
      `about ${mebibytes(least.expectedBytes)}. Raise index.maxBytes, or train a model of fewer dimensions.`,
    { maxBytes, needed: least.expectedBytes },
  );
}

/** @returns the error that says how much can be found within the memory */
export function outOfReach(fitting: readonly AutoMeasured[], recall: number): LookalikeError {
  const most = fitting.reduce((a, b) => (b.expectedRecall > a.expectedRecall ? b : a));
  return new LookalikeError(
    'invalidInput',
    `Expected a recall of ${recall}, and what fits the memory finds at most ${most.expectedRecall.toFixed(3)} ` +
      `(${described(most.spec)}). Raise index.maxBytes or lower index.recall.`,
    { recall, reachable: most.expectedRecall },
  );
}

function described(spec: IndexSpec): string {
  const { kind, ...rest } = spec;
  const told = Object.entries(rest).filter(([name]) => !['metric', 'seed'].includes(name));
  const words = told.map(([name, value]) => `${name} ${JSON.stringify(value).replaceAll('"', '')}`);
  return words.length === 0 ? kind : `${kind} (${words.join(', ')})`;
}

function told({ expectedMillis, expectedRecall, expectedBytes }: AutoMeasured): string {
  return `${expectedMillis.toPrecision(2)} ms a query, recall ${expectedRecall.toFixed(3)}, ${mebibytes(expectedBytes)}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(bytes < 10 * 2 ** 20 ? 1 : 0)} MiB`;
}
