/** Index of the first NaN or infinity, or -1. */
export function firstNonFinite(values: Float32Array): number {
  // Zero times a finite number is zero and anything else is NaN, so that the usual pass has no branch.
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  return sum === 0 ? -1 : values.findIndex((value) => !Number.isFinite(value));
}
