/** Learning rate of a step: linear warm-up, then a cosine to zero at the last step. */
export function learningRateAt(
  step: number,
  { peak, warmupSteps, numSteps }: { peak: number; warmupSteps: number; numSteps: number },
): number {
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const done = (step - warmupSteps) / Math.max(1, numSteps - warmupSteps);
  return peak * 0.5 * (1 + Math.cos(Math.PI * Math.min(1, done)));
}
