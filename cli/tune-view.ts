import type { TrainProgress } from '../contracts/training.ts';
import type { Trial, TrialReport, TuneView } from '../contracts/tuning.ts';
import { table } from './table.ts';

const BLOCKS = '▁▂▃▄▅▆▇█';
const CURVE_WIDTH = 16;

/** A search at a glance: how far it is, and its trials, best first, those that run now before the others. */
export function describeTune(
  view: TuneView,
  { live = new Map(), maxRows = Infinity }: { live?: ReadonlyMap<number, Live>; maxRows?: number } = {},
): string {
  const { trials } = view;
  const shown = inOrder(trials).slice(0, maxRows);
  const values = trials.flatMap(({ reports }) => reports.map(({ value }) => value));
  const range = { low: Math.min(...values), high: Math.max(...values) };
  const rows = shown.map((trial) => [
    `${trial.id === view.best ? '*' : ' '}t${String(trial.id).padStart(2, '0')}`,
    trial.status,
    epochsOf(trial, view.epochs, live.get(trial.id)),
    valueOf(trial)?.toFixed(4) ?? '-',
    sparkline(trial.reports, view.epochs, range),
    paramsOf(trial),
    noteOf(trial),
  ]);
  const lines = [headline(view)];
  if (rows.length > 0) lines.push('', table(['TRIAL', 'STATUS', 'EPOCHS', 'RECALL@1', 'CURVE', 'VALUES', ''], rows));
  if (shown.length < trials.length) lines.push(`and ${trials.length - shown.length} more`);
  return lines.join('\n');
}

type Live = Pick<TrainProgress, 'epoch' | 'recallByEpoch'>;

/** `12 of 20 trials: 3 done, 2 running, 7 stopped; 2 at once (2 trainers); tpe, asha; best 0.7312 (t04)`. */
export function headline({ trials, numTrials, width, trainers, search, scheduler, best }: TuneView): string {
  const counts = Map.groupBy(trials, ({ status }) => status);
  const states = [...counts].map(([status, some]) => `${some.length} ${status}`).join(', ');
  const found = best === null ? undefined : trials[best];
  return [
    `${trials.length} of ${numTrials} trials${states === '' ? '' : `: ${states}`}`,
    `${width} at once${trainers === null ? '' : ` (${trainers} ${trainers === 1 ? 'trainer' : 'trainers'})`}`,
    `${search}, ${scheduler}`,
    ...(found === undefined ? [] : [`best ${valueOf(found)?.toFixed(4)} (t${String(found.id).padStart(2, '0')})`]),
  ].join('; ');
}

export function valueOf({ recall, reports }: Pick<Trial, 'recall' | 'reports'>): number | undefined {
  return recall ?? reports.at(-1)?.value;
}

/** `train.optimizer.learningRate=0.01` as `learningRate=0.01`. */
export function paramsOf({ params }: Pick<Trial, 'params'>): string {
  return Object.entries(params)
    .map(([path, value]) => {
      const name = path.replace(/^train\.(optimizer\.)?/, '');
      return `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
    })
    .join(' ');
}

function inOrder(trials: readonly Trial[]): Trial[] {
  const isRunning = (trial: Trial): number => (trial.status === 'running' ? 0 : 1);
  return trials.toSorted(
    (a, b) => isRunning(a) - isRunning(b) || (valueOf(b) ?? -1) - (valueOf(a) ?? -1) || a.id - b.id,
  );
}

/** Reached, of what it runs to now, of all. */
function epochsOf({ reports, status, untilEpoch }: Trial, epochs: number, live: Live | undefined): string {
  const reached = Math.max(reports.at(-1)?.epoch ?? 0, live?.recallByEpoch.length ?? 0);
  return status === 'running' && untilEpoch < epochs ? `${reached}/${untilEpoch}/${epochs}` : `${reached}/${epochs}`;
}

function noteOf({ failures, reason, parent }: Trial): string {
  const notes = [
    ...(failures > 0 ? [`failed ${failures === 1 ? 'once' : `${failures} times`}`] : []),
    ...(parent === undefined ? [] : [`from t${String(parent).padStart(2, '0')}`]),
    ...(reason === undefined ? [] : [reason]),
  ];
  return notes.join('; ');
}

/** Best so far over epochs; the same height is the same value in every line. */
export function sparkline(
  reports: readonly TrialReport[],
  epochs: number,
  { low, high }: { low: number; high: number },
): string {
  const last = reports.at(-1)?.epoch ?? 0;
  const width = Math.min(CURVE_WIDTH, epochs);
  return Array.from({ length: width }, (_, i) => {
    const epoch = Math.ceil(((i + 1) * epochs) / width);
    const report = reports.findLast((one) => one.epoch <= epoch);
    if (report === undefined || epoch - epochs / width >= last) return ' ';
    const height = high === low ? 1 : (report.value - low) / (high - low);
    return BLOCKS[Math.min(BLOCKS.length - 1, Math.floor(height * BLOCKS.length))]!;
  })
    .join('')
    .trimEnd();
}
