import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drawSvg, pngOf } from '../draw.ts';
import type { LearningBenchResult, LearningRow } from './run-learning-bench.ts';

type Cell = (row: LearningRow) => string | number;
const last = <T>(all: readonly T[]): T | undefined => all.at(-1);

const COLUMNS: readonly (readonly [heading: string, cell: Cell])[] = [
  ['STRATEGY', ({ name }) => name],
  ['replicas', ({ replicas }) => replicas],
  ['to target s', ({ toTarget }) => toTarget?.seconds.toFixed(1) ?? 'never'],
  ['steps', ({ toTarget }) => toTarget?.step ?? '-'],
  ['all steps s', ({ epochs }) => last(epochs)?.seconds.toFixed(1) ?? '-'],
  ['recall@1', ({ epochs }) => last(epochs)?.recall.toFixed(3) ?? '-'],
  ['loss', ({ lossByEpoch }) => last(lossByEpoch)?.toFixed(3) ?? '-'],
  ['kB/step', ({ bytesPerStep }) => (bytesPerStep / 1e3).toFixed(0)],
  ['waiting', ({ waitShare }) => waitShare.toFixed(2)],
];

export const LEARNING_HEADING = COLUMNS.map(([heading]) => heading);

export function learningCells(rows: readonly LearningRow[]): (string | number)[][] {
  return rows.map((row) => COLUMNS.map(([, cell]) => cell(row)));
}

export function learningSettingLines(result: LearningBenchResult): string[] {
  const { hardware, options, numPictures, numQueries, numSteps, backend, target } = result;
  const { name, train, shards } = options;
  return [
    `${name}: ${numPictures} pictures, ${numQueries} queries; head of ${train.dim} dimensions, ${train.loss.kind}, ` +
      `${train.epochs} epochs of ${numSteps / train.epochs} steps, seed ${train.seed}; ${shards} shards`,
    `Target: recall@1 of ${target.toFixed(3)} after an epoch. Seconds count from the end of a run's first step`,
    `${hardware.cpu}, ${hardware.cores} cores, ${hardware.platform}; Node ${hardware.node}, lookalike ${hardware.lookalike}; ` +
      `TensorFlow backend ${backend}, one thread a process`,
  ];
}

/** Writes `learning.json` and drawings of losses and recalls as SVG and PNG. Answers the paths. */
export async function writeLearningReport(result: LearningBenchResult, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const loss = await drawSvg(lossPlot(result), `Loss by epoch: ${result.options.name}`);
  const recall = await drawSvg(recallPlot(result), `Validation recall@1 by time: ${result.options.name}`);
  const files: [string, string | Uint8Array][] = [
    ['learning.json', `${JSON.stringify(result, null, 2)}\n`],
    ['learning-loss.svg', loss],
    ['learning-loss.png', await pngOf(loss)],
    ['learning-recall.svg', recall],
    ['learning-recall.png', await pngOf(recall)],
  ];
  await Promise.all(files.map(([name, content]) => writeFile(join(folder, name), content)));
  return files.map(([name]) => join(folder, name));
}

type Spec = Parameters<typeof drawSvg>[0];

/** What the compressions cost: the mean loss of each epoch. */
function lossPlot({ rows }: LearningBenchResult): Spec {
  const values = rows.flatMap((row) =>
    row.lossByEpoch.map((loss, epoch) => ({ way: wayOf(row), epoch: epoch + 1, loss })),
  );
  return lines(values, { field: 'epoch', title: 'epoch' }, { field: 'loss', title: 'mean loss of the epoch' });
}

function recallPlot({ rows, target }: LearningBenchResult): Spec {
  const values = rows.flatMap((row) => row.epochs.map(({ seconds, recall }) => ({ way: wayOf(row), seconds, recall })));
  const { width, height, data, mark, encoding } = lines(
    values,
    { field: 'seconds', title: 'seconds' },
    { field: 'recall', title: 'recall@1' },
  ) as unknown as Record<string, object>;
  const rule = { data: { values: [{ target }] }, mark: { type: 'rule', strokeDash: [4, 4] } };
  const layer = [
    { data, mark, encoding },
    { ...rule, encoding: { y: { field: 'target', type: 'quantitative' } } },
  ];
  return { width, height, layer } as unknown as Spec;
}

interface Axis {
  field: string;
  title: string;
}

function lines(values: object[], x: Axis, y: Axis): Spec {
  const axis = ({ field, title }: Axis): object => ({
    field,
    title,
    type: 'quantitative',
    scale: { zero: false },
  });
  const color = { field: 'way', type: 'nominal', title: null, sort: null, scale: { scheme: 'tableau20' } };
  return {
    width: 720,
    height: 440,
    data: { values },
    mark: { type: 'line' },
    encoding: { x: axis(x), y: axis(y), color },
  } as Spec;
}

function wayOf({ name, replicas }: LearningRow): string {
  return replicas === 1 ? name : `${name}, ${replicas} replicas`;
}
