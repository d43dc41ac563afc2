import { errorMessage, LookalikeError } from '../../contracts/errors.ts';
import type { RoutingStore } from '../../contracts/registry.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { Logger } from '../log/logger.ts';

const POLL_MS = 500;
/** A registry that hangs is as good as one that fails. */
const READ_TIMEOUT_MS = 2000;
/** A catalogue nobody asked for this long is no longer watched. */
const IDLE_MS = 600_000;

/**
 * Keeps one catalogue's routing table fresh. Invariant: once a table was read there is always one; when the registry fails, the
 * last good one goes on serving.
 */
export class TableWatch {
  readonly #catalogue: string;
  readonly #routing: Pick<RoutingStore, 'routingTable'>;
  readonly #logger: Logger | undefined;
  readonly #onIdle: () => void;
  #table: RoutingTable | undefined;
  #reading: Promise<RoutingTable | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #askedAt = performance.now();
  #failing = false;

  constructor(
    catalogue: string,
    routing: Pick<RoutingStore, 'routingTable'>,
    onIdle: () => void,
    logger: Logger | undefined,
  ) {
    this.#catalogue = catalogue;
    this.#routing = routing;
    this.#onIdle = onIdle;
    this.#logger = logger;
    this.#timer = setInterval(() => this.#poll(), POLL_MS).unref();
  }

  /** @throws LookalikeError `notFound` when nothing serves; `unavailable` when the registry has never answered */
  async table(): Promise<RoutingTable> {
    this.#askedAt = performance.now();
    const table = this.#table ?? (await this.refresh());
    if (table !== undefined) return table;
    this.close();
    const message = `Expected a serving generation of catalogue "${this.#catalogue}", but none serves. Run \`lookalike retrain\`.`;
    throw new LookalikeError('notFound', message);
  }

  /** Reads the registry now; concurrent callers share one read that began after they asked. */
  async refresh(): Promise<RoutingTable | undefined> {
    // A read that is under way may have seen the world before the caller's reason to ask.
    if (this.#reading !== undefined) await this.#reading.catch(() => undefined);
    this.#reading ??= this.#read().finally(() => (this.#reading = undefined));
    try {
      await this.#reading;
    } catch (error) {
      if (this.#table === undefined) {
        const message = `Expected the registry to name what serves "${this.#catalogue}", got: ${errorMessage(error)}.`;
        throw new LookalikeError('unavailable', message, {}, { cause: error });
      }
    }
    return this.#table;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#onIdle();
  }

  #poll(): void {
    if (performance.now() - this.#askedAt > IDLE_MS) return this.close();
    if (this.#reading !== undefined) return;
    this.#reading = this.#read().finally(() => (this.#reading = undefined));
    this.#reading.catch(() => undefined);
  }

  async #read(): Promise<RoutingTable | undefined> {
    try {
      const table = await withTimeout(this.#routing.routingTable(this.#catalogue));
      this.#table = table;
      if (this.#failing) this.#logger?.info({ catalogue: this.#catalogue }, 'The registry answers again.');
      this.#failing = false;
      return table;
    } catch (error) {
      // Once per outage, not twice a second.
      if (!this.#failing)
        this.#logger?.warn({ err: error }, 'The registry does not answer; the last table goes on serving.');
      this.#failing = true;
      throw error;
    }
  }
}

async function withTimeout<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${READ_TIMEOUT_MS} ms`)), READ_TIMEOUT_MS);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
