import type { TopLevelSpec } from 'vega-lite';
import type { Json } from '../../contracts/json.ts';
import type { Dimension, Trial, TuningRecord } from '../../contracts/tuning.ts';
import { canonical, inner, interval } from '../../lib/tune/dimension.ts';

export interface TrialCurve {
  trial: number;
  points: { epoch: number; recall: number }[];
}

/** `name` is also the file's. */
export interface TuningPlot {
  name: string;
  title: string;
  spec: TopLevelSpec;
}

const SIZE = { width: 720, height: 400 };
const RECALL = 'best recall@1';

/** Learning curves of all trials, and their values beside each other with what came of them. */
export function tuningPlots(record: TuningRecord, curves: readonly TrialCurve[]): TuningPlot[] {
  const { catalogue, trials, config } = record;
  const about = `${catalogue}: ${trials.length} trials, ${config.search.kind}, ${config.scheduler.kind}`;
  return [
    { name: 'curves', title: `Learning curves (${about})`, spec: curvesSpec(record, curves) },
    { name: 'parallel-coordinates', title: `Values and results (${about})`, spec: parallelSpec(record) },
  ];
}

function curvesSpec({ trials, best }: TuningRecord, curves: readonly TrialCurve[]): TopLevelSpec {
  // What comes last is drawn on top.
  const onTop = curves.toSorted((a, b) => Number(a.trial === best.trial) - Number(b.trial === best.trial));
  const values = onTop.flatMap(({ trial, points }) =>
    points.map((point) => ({ ...point, trial, status: statusOf(trials[trial], best.trial) })),
  );
  return {
    ...SIZE,
    data: { values },
    mark: { type: 'line', point: { size: 12 }, strokeWidth: 1.5 },
    encoding: {
      x: { field: 'epoch', type: 'quantitative', title: 'epoch', axis: { tickMinStep: 1 } },
      y: { field: 'recall', type: 'quantitative', title: 'validation recall@1', scale: { zero: false } },
      detail: { field: 'trial', type: 'nominal' },
      color: {
        field: 'status',
        type: 'nominal',
        title: null,
        scale: {
          domain: ['best', 'done', 'stopped', 'failed'],
          range: ['#d62728', '#1f77b4', '#aaaaaa', '#e7ba52'],
        },
      },
    },
  };
}

function statusOf(trial: Trial | undefined, best: number): string {
  if (trial?.id === best) return 'best';
  return trial?.status === 'done' || trial?.status === 'failed' ? trial.status : 'stopped';
}

/** A line per trial over one axis per dimension; each axis is scaled by its dimension, and the last is what came of it. */
function parallelSpec({ config, trials }: TuningRecord): TopLevelSpec {
  const axes = Object.entries(config.space);
  const judged = trials.flatMap((trial) => {
    const value = trial.recall ?? trial.reports.at(-1)?.value;
    return value === undefined ? [] : [{ trial, value }];
  });
  const values = judged.map(({ value }) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const names = [...axes.map(([path]) => shortName(path)), RECALL];
  const points = judged.flatMap(({ trial, value }) => [
    ...axes.map(([path, dimension]) => {
      const chosen = trial.params[path];
      // Null breaks the line: one that crossed the axis of a value it does not have would seem to have it.
      const at = chosen === undefined ? null : placeOf(dimension, chosen);
      return { axis: shortName(path), at, trial: trial.id, value };
    }),
    { axis: RECALL, at: high === low ? 0.5 : (value - low) / (high - low), trial: trial.id, value },
  ]);
  const ends = judged.length === 0 ? [] : [mark(RECALL, 0, low.toFixed(3)), mark(RECALL, 1, high.toFixed(3))];
  const marks = [...axes.flatMap(([path, dimension]) => marksOf(shortName(path), dimension)), ...ends];
  const x = {
    field: 'axis',
    type: 'nominal',
    sort: names,
    title: null,
    axis: { labelAngle: 0, grid: true, domain: false },
  };
  const y = { field: 'at', type: 'quantitative', axis: null, scale: { domain: [0, 1], padding: 12 } };
  return {
    ...SIZE,
    width: Math.max(SIZE.width, 130 * names.length),
    layer: [
      {
        data: { values: points },
        mark: { type: 'line', strokeWidth: 1.5, opacity: 0.75 },
        encoding: {
          ...{ x, y },
          detail: { field: 'trial', type: 'nominal' },
          color: { field: 'value', type: 'quantitative', title: RECALL, scale: { scheme: 'viridis' } },
        },
      },
      {
        data: { values: marks },
        mark: { type: 'text', align: 'left', dx: 5, fontSize: 11 },
        encoding: { ...{ x, y }, text: { field: 'text', type: 'nominal' } },
      },
    ],
  } as TopLevelSpec;
}

/** Where on its axis a value stands, 0..1. */
function placeOf(dimension: Dimension, value: Json): number {
  if (dimension.kind === 'choice') {
    const at = dimension.values.findIndex((one) => canonical(one) === canonical(value));
    return dimension.values.length === 1 ? 0.5 : at / (dimension.values.length - 1);
  }
  const { from, to } = interval(dimension);
  return (inner(dimension, value as number) - from) / (to - from);
}

function marksOf(axis: string, dimension: Dimension): { axis: string; at: number; text: string }[] {
  const shown = dimension.kind === 'choice' ? dimension.values : [dimension.low, dimension.high];
  return shown.map((value) => mark(axis, placeOf(dimension, value), labelOf(value)));
}

function mark(axis: string, at: number, text: string): { axis: string; at: number; text: string } {
  return { axis, at, text };
}

/** What a part of a configuration is called for short: its kind, where it has one. */
function labelOf(value: Json): string {
  if (typeof value === 'object' && value !== null && !Array.isArray(value) && typeof value['kind'] === 'string') {
    const { kind, ...rest } = value;
    return [kind, ...Object.values(rest).map((one) => JSON.stringify(one))].join(' ');
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function shortName(path: string): string {
  return path.replace(/^train\.(optimizer\.)?/, '');
}
