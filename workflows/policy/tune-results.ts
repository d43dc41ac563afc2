import type { RungOutput, Trial, TrialRow, TuneState } from '../../contracts/tuning.ts';

/** The objective that a trial came to: that of its model, or its best so far; null before its first report. */
export function valueOf({ recall, reports }: Pick<Trial, 'recall' | 'reports'>): number | null {
  return recall ?? reports.at(-1)?.value ?? null;
}

/**
 * The trial to recommend: of those trained to the end the best, since they can be taken as they are; of the others only where there is
 * none. Of equals the one that was chosen first.
 */
export function bestOf({ trials }: TuneState): Trial | null {
  const judged = trials.filter((trial) => trial.status !== 'failed' && valueOf(trial) !== null);
  const whole = judged.filter(({ status }) => status === 'done');
  const [best] = (whole.length > 0 ? whole : judged).toSorted((a, b) => valueOf(b)! - valueOf(a)! || a.id - b.id);
  return best ?? null;
}

/** A trial after one of its rungs: paused, or done where its training is over. Earlier reports stay, as it was ranked by them. */
export function afterRung(trial: Trial, { reports, checkpoint, model, recall }: RungOutput): Trial {
  const told = trial.reports.at(-1)?.epoch ?? 0;
  return {
    ...trial,
    status: model === null ? 'paused' : 'done',
    reports: [...trial.reports, ...reports.filter(({ epoch }) => epoch > told)],
    ...(checkpoint !== null && { checkpoint }),
    ...(model !== null && { model }),
    ...(recall !== null && { recall }),
  };
}

/** What is left of a search that was cancelled. */
export function afterCancel({ trials }: TuneState): TuneState {
  const isOpen = ({ status }: Trial): boolean => ['waiting', 'running', 'paused'].includes(status);
  const stopped = { status: 'stopped', reason: 'The search was cancelled.' } as const;
  return { trials: trials.map((trial) => (isOpen(trial) ? { ...trial, ...stopped } : trial)) };
}

/** The table of all trials. */
export function rowsOf({ trials }: TuneState): TrialRow[] {
  return trials.map((trial) => {
    const { id, params, status, failures, reason, model, reports } = trial;
    return {
      ...{ id, params, status, failures, epochs: reports.at(-1)?.epoch ?? 0, value: valueOf(trial) },
      ...(reason !== undefined && { reason }),
      ...(model !== undefined && { model }),
    };
  });
}
