import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { LookalikeError } from '../../contracts/errors.ts';

/** How long one who waits in the background looks away when others are being answered. */
const LOOK_AGAIN_MS = 2;
/** A host may hold many shards, and a search asks each. */
const MAX_WAITING = 64;

/**
 * Lets work that nobody waits for run between the answers that somebody waits for. Invariant: one piece of such work at a time, and no turn of it
 * begins while a request that is none of it is in flight.
 */
export class BackgroundTurns {
  readonly #inFlight: () => number;
  /** Pieces that run or wait. */
  #numPieces = 0;
  #last: Promise<unknown> = Promise.resolve();

  /** @param inFlight all requests in flight, those in the background included */
  constructor(inFlight: () => number) {
    this.#inFlight = inFlight;
  }

  /**
   * Runs `work`, which awaits `pause` between its turns, once the pieces before it are done.
   * @throws LookalikeError `overloaded` when too many wait already; `cancelled` once the signal is aborted
   */
  async take<T>(signal: AbortSignal, work: (pause: () => Promise<void>) => Promise<T>): Promise<T> {
    if (this.#numPieces >= MAX_WAITING) {
      throw new LookalikeError('overloaded', `Expected at most ${MAX_WAITING} searches in the background.`);
    }
    const pause = async (): Promise<void> => {
      // Requests that have arrived meanwhile are taken in first.
      await setImmediate();
      while (!signal.aborted && this.#inFlight() > this.#numPieces) await delay(LOOK_AGAIN_MS);
      if (signal.aborted) throw new LookalikeError('cancelled', 'The router has hung up.');
    };
    this.#numPieces++;
    const before = this.#last;
    const mine = before
      .then(pause)
      .then(() => work(pause))
      .finally(() => this.#numPieces--);
    this.#last = mine.catch(() => undefined);
    return mine;
  }
}
