/** What was measured over the counted steps. */
export interface StepFigures {
  stepsPerSecond: number;
  medianStepMs: number;
  /** Sent and received by one replica. */
  bytesPerStep: number;
  /** Share of a replica's time that it waited for answers. */
  waitShare: number;
}

/**
 * The mean over the replicas that counted a step. One that is so late that nobody waits for it (a backup worker, at the start of a
 * short run) has none.
 * @throws RangeError where no replica counted a step
 */
export function meanFigures(all: readonly (StepFigures | null)[]): StepFigures {
  const counted = all.filter((figures) => figures !== null);
  if (counted.length === 0) throw new RangeError('No replica counted a step: give the run more steps.');
  const mean = (of: keyof StepFigures): number =>
    counted.reduce((sum, figures) => sum + figures[of], 0) / counted.length;
  return {
    stepsPerSecond: mean('stepsPerSecond'),
    medianStepMs: mean('medianStepMs'),
    bytesPerStep: mean('bytesPerStep'),
    waitShare: mean('waitShare'),
  };
}
