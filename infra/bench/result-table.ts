import type { AutoMeasured } from '../../lib/ann/auto.ts';
import type { AtRecall } from './at-recall.ts';
import type { BenchRow } from './measure.ts';
import { specText } from './spec-text.ts';

/** Columns of the table, in order: heading and cell. */
const COLUMNS: readonly (readonly [heading: string, cell: (row: BenchRow) => string | number])[] = [
  ['INDEX', (row) => (row.by === 'peer' ? `  ${row.name}` : row.name)],
  ['BUILD', (row) => row.build],
  ['EFFORT', (row) => row.effort],
  ['recall', (row) => row.recall.toFixed(4)],
  ['q/s 1T', (row) => speed(row.single)],
  ['q/s all', (row) => speed(row.batch)],
  ['MiB', (row) => (row.memoryBytes / 2 ** 20).toFixed(1)],
  ['build s', (row) => row.buildSeconds.toFixed(2)],
  ['AGAINST', (row) => best(row)?.peer ?? ''],
  ['x 1T', (row) => ratio(best(row)?.single)],
  ['x all', (row) => ratio(best(row)?.batch)],
  ['x build', (row) => ratio(best(row)?.build)],
];

export const RESULT_HEADING = COLUMNS.map(([heading]) => heading);

/** The cells of all rows, as text. */
export function resultCells(rows: readonly BenchRow[]): (string | number)[][] {
  return rows.map((row) => COLUMNS.map(([, cell]) => cell(row)));
}

export const AT_RECALL_HEADING = [
  'INDEX',
  'recall',
  'q/s 1T',
  'q/s all',
  'MiB',
  'build s',
  'AGAINST',
  'x 1T',
  'x all',
  'x build',
  'x memory',
];

/** The cells of what is fast at which recall, as text. */
export function atRecallCells(lines: readonly AtRecall[]): string[][] {
  return lines.map(({ name, recall, single, batch, memoryBytes, buildSeconds, peer, ratios }) => [
    name,
    recall.toFixed(2),
    speed(single),
    speed(batch),
    (memoryBytes / 2 ** 20).toFixed(1),
    buildSeconds.toFixed(2),
    peer ?? '',
    ...[ratios?.single, ratios?.batch, ratios?.build, ratios?.memory].map(ratio),
  ]);
}

export const AUTO_HEADING = ['INDEX', 'recall', 'expected', 'ms', 'expected ms', 'expected MiB'];

/** The cells of what a recommendation rests on, as text. */
export function autoCells(measured: readonly AutoMeasured[]): string[][] {
  return measured.map(({ spec, recall, expectedRecall, millis, expectedMillis, expectedBytes }) => [
    `${spec.kind} ${specText(spec)}`.trim(),
    recall.toFixed(4),
    expectedRecall.toFixed(4),
    millis.toPrecision(3),
    expectedMillis.toPrecision(3),
    (expectedBytes / 2 ** 20).toFixed(1),
  ]);
}

/** A row's ratios stand against the first peer of its comparison; all of them are in the JSON. */
function best(row: BenchRow): NonNullable<BenchRow['ratios']>[number] | undefined {
  return row.ratios?.[0];
}

function speed(queriesPerSecond: number): string {
  return queriesPerSecond >= 100 ? queriesPerSecond.toFixed(0) : queriesPerSecond.toPrecision(3);
}

function ratio(value: number | null | undefined): string {
  if (value === undefined) return '';
  return value === null ? '-' : value.toFixed(2);
}
