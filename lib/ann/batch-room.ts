/** Bytes that the kernel calls of a batch take together while they run; one query takes what it must. */
const MAX_BATCH_BYTES = 64 << 20;

interface CallBytes {
  /** Of a call, however many queries it answers. */
  call: number;
  /** Of each of its queries: the query, its part of the scratch, its answer. */
  query: number;
}

/**
 * How many calls to run at once, and for how many queries each, so that room for scratch and answers does not grow with `k`, the
 * effort or the batch: both at least 1 and at most as many as given.
 */
export function batchShape(
  bytes: CallBytes,
  maxCalls: number,
  maxQueries: number,
): { numCalls: number; perCall: number } {
  const fitting = Math.floor((MAX_BATCH_BYTES / maxCalls - bytes.call) / bytes.query);
  const perCall = Math.max(1, Math.min(maxQueries, fitting));
  const numCalls = Math.max(1, Math.min(maxCalls, Math.floor(MAX_BATCH_BYTES / (bytes.call + perCall * bytes.query))));
  return { numCalls, perCall };
}
