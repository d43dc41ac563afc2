/** Rows of one statement: at most 9 parameters each, far below the 32,766 that SQLite takes. */
const CHUNK = 500;

export function* inChunks<T>(values: readonly T[]): Generator<T[]> {
  for (let start = 0; start < values.length; start += CHUNK) yield values.slice(start, start + CHUNK);
}
