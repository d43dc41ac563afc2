import type { Trial } from '../../../contracts/tuning.ts';

/** Under way: it takes a place among those that run at once, and will report. */
export function isUnderWay({ status }: Trial): boolean {
  return status === 'running' || status === 'waiting';
}

/**
 * Whether a trial was trained up to an epoch. One that ended by itself (its patience ran out) counts as trained to the end: more epochs
 * would not change what it has.
 */
export function hasReached(trial: Trial, epoch: number): boolean {
  if (trial.status === 'done' || trial.untilEpoch > epoch) return true;
  if (trial.status === 'paused') return trial.untilEpoch === epoch;
  return (trial.reports.at(-1)?.epoch ?? 0) >= epoch;
}

/** The objective of a trial when it had reached an epoch; what has reported nothing is worse than everything. */
export function valueAt(trial: Trial, epoch: number): number {
  return trial.reports.findLast((report) => report.epoch <= epoch)?.value ?? -Infinity;
}

/** Best first by the value at an epoch; of equals the one that was chosen first. */
export function ranked(trials: readonly Trial[], epoch: number): Trial[] {
  const value = new Map(trials.map((trial) => [trial.id, valueAt(trial, epoch)]));
  return [...trials].sort((a, b) => compare(value.get(b.id)!, value.get(a.id)!) || a.id - b.id);
}

/** Ascending, also of infinities, whose difference is no number. */
export function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
