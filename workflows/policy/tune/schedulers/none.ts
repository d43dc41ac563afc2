import type { Scheduler } from '../scheduler.ts';

/** Every trial to the end. */
export const none: Scheduler<'none'> = ({ config, trials, numTrials }) => {
  const untilEpoch = config.base.train.epochs;
  const paused = trials.find((trial) => trial.status === 'paused' && trial.untilEpoch < untilEpoch);
  if (paused !== undefined) return { kind: 'promote', trial: paused.id, untilEpoch };
  return trials.length < numTrials ? { kind: 'grow', untilEpoch } : null;
};
