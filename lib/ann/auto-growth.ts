/** One candidate at one effort, measured over so many rows. */
export interface Point {
  recall: number;
  /** Of one query on one thread. */
  millis: number;
  bytes: number;
}

/** What was measured over the larger sample, and what that lets expect of all rows. */
export interface Carried {
  recall: number;
  expectedRecall: number;
  millis: number;
  expectedMillis: number;
  expectedBytes: number;
}

/** Rows of the two samples, and of the index to come. */
export interface Sizes {
  small: number;
  large: number;
  numRows: number;
}

/**
 * What one candidate does at two sizes says of a third: time grows as a power of the rows between 0 and 1, one for all its efforts;
 * the odds of a hit as a power too, for each effort, and never a rising one; memory straight. At or below the larger sample it
 * is what was measured there. Efforts ascend; answered are those that both sizes know.
 */
export function carriedOn(
  before: readonly Point[],
  after: readonly Point[],
  { small, large, numRows }: Sizes,
): Carried[] {
  const count = Math.min(before.length, after.length);
  const [slow, fast] = [steady(after.slice(0, count)), steady(before.slice(0, count))];
  const growths = slow.map((millis, i) => millis / fast[i]!).sort((a, b) => a - b);
  const power = Math.min(Math.max(growths[Math.floor(count / 2)] ?? 1, 1), large / small);
  const steps = numRows <= large || large <= small ? 0 : Math.log(numRows / large) / Math.log(large / small);
  return Array.from({ length: count }, (_, i) => {
    const [old, now] = [before[i]!, after[i]!];
    const fall = Math.min(0, logOdds(now.recall) - logOdds(old.recall));
    const bytesPerRow = large > small ? (now.bytes - old.bytes) / (large - small) : now.bytes / large;
    return {
      recall: now.recall,
      expectedRecall:
        steps === 0 || fall === 0 ? now.recall : 1 / (1 + Math.exp(-(logOdds(now.recall) + fall * steps))),
      millis: slow[i]!,
      expectedMillis: slow[i]! * power ** steps,
      expectedBytes: Math.round(now.bytes + bytesPerRow * (numRows - large)),
    };
  });
}

/** A search that looks less hard takes no longer than one that looks harder: what seems to was disturbed. */
function steady(points: readonly Point[]): number[] {
  const millis = points.map((point) => point.millis);
  for (let i = millis.length - 2; i >= 0; i--) millis[i] = Math.min(millis[i]!, millis[i + 1]!);
  return millis;
}

/** Of a recall measured over a thousand neighbours: all or none of them is no certainty. */
function logOdds(recall: number): number {
  const kept = Math.min(Math.max(recall, 0.0005), 0.9995);
  return Math.log(kept / (1 - kept));
}
