import { LookalikeError } from '../../contracts/errors.ts';

/** An index lives in one WebAssembly memory of 4 GiB; the rows must leave room for codes and structure. */
const MAX_ROW_BYTES = 3.5 * 2 ** 30;
/** The vectors, the copy for exact answers, an index and its library's copy; as much again with peers. */
const COPIES = { alone: 4, withPeers: 7 } as const;

/** Refuses a run that could not end well, before anything is read or drawn. @throws LookalikeError `invalidInput` */
export function checkFits(size: number, dim: number, withPeers: boolean, availableBytes: number): void {
  const rowBytes = size * dim * 4;
  const gib = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
  const what = `${size.toLocaleString('en-US')} x ${dim} vectors`;
  if (rowBytes > MAX_ROW_BYTES) {
    throw new LookalikeError(
      'invalidInput',
      `Expected vectors of at most ${gib(MAX_ROW_BYTES)}, which one index can hold; ${what} are ${gib(rowBytes)}. Lower --n.`,
    );
  }
  const needed = rowBytes * (withPeers ? COPIES.withPeers : COPIES.alone);
  if (needed > availableBytes) {
    const advice = withPeers ? 'Lower --n, or leave the peers out with --python none.' : 'Lower --n.';
    throw new LookalikeError(
      'invalidInput',
      `Expected ${gib(needed)} of free memory to compare indices over ${what}, got ${gib(availableBytes)}. ${advice}`,
    );
  }
}
