import type { TopLevelSpec } from 'vega-lite';
import { bitsOf } from './bits.ts';
import type { How } from './contender.ts';
import { frontier } from './curve.ts';
import type { BenchRow } from './measure.ts';
import type { BenchResult } from './run-bench.ts';

/** A drawing of one run; `name` is also its file's. */
export interface Plot {
  name: string;
  title: string;
  /** What the drawing shows and how it is to be read. */
  about: string;
  spec: TopLevelSpec;
}

const SIZE = { width: 720, height: 440 };
/** Below this a curve only squeezes what people choose between. */
const MIN_SHOWN_RECALL = 0.3;

/** The drawings that the run has data for. */
export function plotsOf(result: BenchResult): Plot[] {
  const setting = `${result.data.name}, ${result.data.metric}, k = ${result.k}`;
  const compared = [...new Set(result.rows.flatMap((row) => (row.by === 'peer' ? [row.kind] : [])))];
  const ways = [
    { how: 'single', words: 'one thread' },
    { how: 'batch', words: `${result.threads} threads, batches` },
  ] as const;
  return [
    ...ways.map(({ how, words }): Plot => {
      const ours = result.rows.filter((row) => row.by === 'lookalike');
      return recallPlot(ours, `recall-${how}`, how, `Recall and speed, ${words} (${setting})`, result.k);
    }),
    ...compared.flatMap((kind) =>
      ways.map(({ how, words }): Plot => {
        const rows = result.rows.filter((row) => row.kind === kind);
        return recallPlot(rows, `${kind}-${how}`, how, `${kind} and its peers, ${words} (${setting})`, result.k);
      }),
    ),
    ...(result.dimensions.length > 0 ? dimensionPlots(result) : []),
    ...(bitsOf(result.rows).length > 0 ? [bitsPlot(result, setting)] : []),
  ];
}

function recallPlot(rows: readonly BenchRow[], name: string, how: How, title: string, k: number): Plot {
  const curves = Map.groupBy(rows, (row) => (row.by === 'peer' ? `${row.name} (${row.beside})` : row.name));
  const values = [...curves].flatMap(([curve, all]) => {
    const points = all.map((row) => ({ recall: row.recall, queriesPerSecond: row[how] }));
    const by = all[0]?.by === 'peer' ? 'peer' : 'lookalike';
    return frontier(points)
      .filter(({ recall }) => recall >= MIN_SHOWN_RECALL)
      .map((point) => ({ ...point, curve, by }));
  });
  return {
    name,
    title,
    about:
      'Up and right is better. Each line joins the points of one index that none of its others beats; dashed: peers.',
    spec: {
      ...SIZE,
      data: { values },
      mark: { type: 'line', point: true },
      encoding: {
        x: { field: 'recall', type: 'quantitative', title: `recall@${k}`, scale: { zero: false } },
        y: {
          field: 'queriesPerSecond',
          type: 'quantitative',
          title: 'queries/s',
          scale: { type: 'log', nice: false, padding: 10 },
        },
        color: {
          field: 'curve',
          type: 'nominal',
          title: null,
          sort: null,
          scale: { scheme: 'tableau20' },
          legend: { columns: 1, labelLimit: 300 },
        },
        strokeDash: {
          field: 'by',
          type: 'nominal',
          title: null,
          legend: null,
          scale: {
            domain: ['lookalike', 'peer'],
            range: [
              [1, 0],
              [4, 3],
            ],
          },
        },
      },
    },
  };
}

function dimensionPlots({ dimensions, k }: BenchResult): Plot[] {
  const rank = (noiseRank: number, dim: number): string =>
    noiseRank === dim ? 'all directions' : `${noiseRank} directions`;
  const speeds = dimensions.map(({ dim, noiseRank, tree, bruteForce }) => ({
    dim,
    rows: rank(noiseRank, dim),
    ratio: tree / bruteForce,
  }));
  const shares = dimensions.flatMap(({ dim, noiseRank, visitedShare }) =>
    visitedShare === null ? [] : [{ dim, rows: rank(noiseRank, dim), visitedShare }],
  );
  const encoding = {
    x: { field: 'dim', type: 'quantitative', title: 'dimensions', scale: { type: 'log', base: 2 } },
    color: { field: 'rows', type: 'nominal', title: 'rows stray in' },
  } as const;
  const numRows = dimensions[0]?.numRows ?? 0;
  return [
    {
      name: 'dimensions-speed',
      title: `Exact KD-tree against brute force, ${numRows} rows, ${k} nearest`,
      about: 'Queries/s of the tree over those of brute force, one thread; below the line at 1 the tree does not pay.',
      spec: {
        ...SIZE,
        layer: [
          {
            data: { values: speeds },
            mark: { type: 'line', point: true },
            encoding: {
              ...encoding,
              y: { field: 'ratio', type: 'quantitative', title: 'speed over brute force', scale: { type: 'log' } },
            },
          },
          {
            data: { values: [{ one: 1 }] },
            mark: { type: 'rule', strokeDash: [4, 4] },
            encoding: { y: { field: 'one', type: 'quantitative' } },
          },
        ],
      },
    },
    {
      name: 'dimensions-visited',
      title: `What an exact KD-tree must visit, ${numRows} rows, ${k} nearest`,
      about: 'Part of all rows that the tree compares with a query to be sure of the nearest.',
      spec: {
        ...SIZE,
        data: { values: shares },
        mark: { type: 'line', point: true },
        encoding: {
          ...encoding,
          y: {
            field: 'visitedShare',
            type: 'quantitative',
            title: 'rows visited',
            axis: { format: '%' },
            scale: { domain: [0, 1] },
          },
        },
      },
    },
  ].filter((plot) => plot.name !== 'dimensions-visited' || shares.length > 0) as Plot[];
}

function bitsPlot({ rows, k }: BenchResult, setting: string): Plot {
  return {
    name: 'bits',
    title: `Recall of codes by their length (${setting})`,
    about:
      'At equal bits: learned codes, random hyperplanes, and faiss LSH. Rescored N: the best N k by code are compared again in f32.',
    spec: {
      ...SIZE,
      data: { values: bitsOf(rows) },
      mark: { type: 'line', point: true },
      encoding: {
        x: {
          field: 'bits',
          type: 'quantitative',
          title: 'bits',
          scale: { type: 'log', base: 2 },
          axis: { values: [64, 128, 256] },
        },
        y: { field: 'recall', type: 'quantitative', title: `recall@${k}`, scale: { domain: [0, 1] } },
        color: { field: 'code', type: 'nominal', title: 'codes' },
        strokeDash: {
          field: 'rescored',
          type: 'nominal',
          title: 'rescored',
          sort: null,
          legend: { symbolType: 'stroke', symbolStrokeColor: 'black', symbolStrokeWidth: 2, symbolSize: 400 },
        },
      },
    },
  };
}
