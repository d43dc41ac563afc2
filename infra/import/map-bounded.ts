/** Maps with at most `limit` calls under way, results in order. The first failure ends it; no new calls are begun. */
export async function mapBounded<T, R>(
  values: readonly T[],
  limit: number,
  map: (value: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = values.entries();
  let failed = false;
  const worker = async (): Promise<void> => {
    // Iterating shared entries hands each value to exactly one worker.
    for (const [index, value] of queue) {
      if (failed) return;
      try {
        results[index] = await map(value);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, worker));
  return results;
}
