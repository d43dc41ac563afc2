/** One point of a recall-speed curve. */
export interface Point {
  recall: number;
  queriesPerSecond: number;
}

/** Recalls this close are equal: ties, and sums in another order. */
const SAME_RECALL = 0.002;

/** The points that no other beats in both, by ascending recall (and so descending speed). */
export function frontier(points: readonly Point[]): Point[] {
  const best: Point[] = [];
  const descending = [...points].sort((a, b) => b.recall - a.recall || b.queriesPerSecond - a.queriesPerSecond);
  for (const point of descending) {
    const last = best.at(-1);
    if (last === undefined || point.queriesPerSecond > last.queriesPerSecond) best.push(point);
  }
  return best.reverse();
}

/**
 * Queries/s on a curve at `recall`: between the two neighbouring points of its frontier, straight in recall and the
 * logarithm of the speed. Below its lowest recall its fastest point, which finds more and is no slower; `null` above its highest.
 */
export function speedAt(points: readonly Point[], recall: number): number | null {
  const best = frontier(points);
  const [lowest, highest] = [best[0], best.at(-1)];
  if (lowest === undefined || highest === undefined) return null;
  if (recall <= lowest.recall) return lowest.queriesPerSecond;
  if (recall >= highest.recall) return recall - highest.recall <= SAME_RECALL ? highest.queriesPerSecond : null;
  const after = best.findIndex((point) => point.recall >= recall);
  const [low, high] = [best[after - 1]!, best[after]!];
  const part = (recall - low.recall) / (high.recall - low.recall);
  return low.queriesPerSecond * (high.queriesPerSecond / low.queriesPerSecond) ** part;
}
