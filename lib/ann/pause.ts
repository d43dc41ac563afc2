import { LookalikeError } from '../../contracts/errors.ts';

/** Numbers between two pauses of a loop over rows: a few milliseconds. */
const PIECE_NUMBERS = 1 << 20;

/** @throws LookalikeError `cancelled` */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new LookalikeError('cancelled', 'The index was asked to stop.');
}

/** Lets what waits on this thread go first: heartbeats, queries, an abort. @throws LookalikeError `cancelled` */
export async function pause(signal?: AbortSignal): Promise<void> {
  await new Promise((resume) => setImmediate(resume));
  throwIfAborted(signal);
}

/**
 * Does [0, count) piece by piece with a pause between two. `numbersEach`: how many numbers each of the `count` is.
 * @throws LookalikeError `cancelled`
 */
export async function inPieces(
  count: number,
  numbersEach: number,
  use: (from: number, to: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  const step = Math.max(1, Math.floor(PIECE_NUMBERS / numbersEach));
  for (let from = 0; from < count; from += step) {
    if (from > 0) await pause(signal);
    use(from, Math.min(count, from + step));
  }
}

/** Copies bytes to as many others. */
export function copyInPieces(from: Uint8Array, to: Uint8Array): Promise<void> {
  return inPieces(from.length, 1 / 4, (start, end) => to.set(from.subarray(start, end), start));
}
