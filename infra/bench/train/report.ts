import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { drawSvg, pngOf } from '../draw.ts';
import type { TrainBenchResult, TrainBenchRow } from './run-train-bench.ts';

const COLUMNS: readonly (readonly [heading: string, cell: (row: TrainBenchRow) => string | number])[] = [
  ['STRATEGY', ({ by, name }) => (by === 'peer' ? `  ${name}` : name)],
  ['replicas', ({ replicas }) => replicas],
  ['step ms', ({ medianStepMs }) => medianStepMs.toFixed(1)],
  ['steps/s', ({ stepsPerSecond }) => stepsPerSecond.toFixed(1)],
  ['efficiency', ({ efficiency }) => efficiency.toFixed(2)],
  ['kB/step', ({ bytesPerStep }) => (bytesPerStep / 1e3).toFixed(0)],
  ['x bound', ({ bytesPerStep, boundBytes }) => (boundBytes === 0 ? '-' : (bytesPerStep / boundBytes).toFixed(3))],
  ['waiting', ({ by, waitShare }) => (by === 'peer' ? '-' : waitShare.toFixed(2))],
  ['x PyTorch', ({ ratio }) => (ratio === null ? '-' : ratio.toFixed(2))],
];

export const TRAIN_HEADING = COLUMNS.map(([heading]) => heading);

export function trainCells(rows: readonly TrainBenchRow[]): (string | number)[][] {
  return rows.map((row) => COLUMNS.map(([, cell]) => cell(row)));
}

/** What was measured where, a line each. */
export function trainSettingLines({ hardware, options, parameters, backend, peer }: TrainBenchResult): string[] {
  const { workload, shards, rounds } = options;
  const { model, features, dim, labels, batch, steps, seed } = workload;
  const trained = model === 'convnet' ? 'Convnet 28 x 28' : `Head ${features} -> ${dim}, ${labels} labels`;
  return [
    `${trained}, ${parameters} parameters; global batch ${batch}, ${steps} steps, seed ${seed}; ${shards} shards`,
    `${hardware.cpu}, ${hardware.cores} cores, ${hardware.platform}; Node ${hardware.node}, lookalike ${hardware.lookalike}`,
    `TensorFlow backend ${backend}, one thread a process; best of ${rounds} rounds, in turns. Peer: ${peer}`,
  ];
}

/** Writes `result.json` and a drawing of speed and bytes as SVG and PNG. Answers the paths. */
export async function writeTrainReport(result: TrainBenchResult, folder: string): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const svg = await drawSvg(plotOf(result), 'Steps per second and bytes of data-parallel training');
  const files: [string, string | Uint8Array][] = [
    ['result.json', `${JSON.stringify(result, null, 2)}\n`],
    ['train.svg', svg],
    ['train.png', await pngOf(svg)],
  ];
  await Promise.all(files.map(([name, content]) => writeFile(join(folder, name), content)));
  return files.map(([name]) => join(folder, name));
}

function plotOf({ rows }: TrainBenchResult): Parameters<typeof drawSvg>[0] {
  const values = rows.map(({ name, by, replicas, stepsPerSecond, bytesPerStep }) => ({
    name: `${name}, ${replicas}`,
    by,
    stepsPerSecond,
    kilobytes: bytesPerStep / 1e3,
  }));
  const bars = (field: string, title: string): object => ({
    width: 320,
    mark: 'bar',
    encoding: {
      y: { field: 'name', type: 'nominal', sort: null, title: 'strategy, replicas' },
      x: { field, type: 'quantitative', title },
      color: { field: 'by', type: 'nominal', title: null },
    },
  });
  return {
    data: { values },
    hconcat: [bars('stepsPerSecond', 'steps per second'), bars('kilobytes', 'kB a replica moves in a step')],
  } as Parameters<typeof drawSvg>[0];
}
