import type { QuerySampleStore } from '../../contracts/registry.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { Logger } from '../../infra/log/logger.ts';

/** One of so many milliseconds' queries is kept: the newest ones then span about an hour of busy traffic. */
export const SAMPLE_EVERY_MS = 10_000;

/**
 * Keeps the vectors of a few queries for the drift check. The invariant: at most one write per catalogue in {@link SAMPLE_EVERY_MS}, and
 * no search ever waits for one or fails by it.
 */
export class QuerySampler {
  private readonly store: QuerySampleStore;
  private readonly logger: Pick<Logger, 'warn'>;
  private readonly now: () => number;
  private readonly lastAt = new Map<string, number>();

  constructor(store: QuerySampleStore, logger: Pick<Logger, 'warn'>, now: () => number = () => performance.now()) {
    this.store = store;
    this.logger = logger;
    this.now = now;
  }

  offer({ catalogue, model }: Pick<RoutingTable, 'catalogue' | 'model'>, vector: Float32Array): void {
    const at = this.now();
    if (at - (this.lastAt.get(catalogue) ?? -Infinity) < SAMPLE_EVERY_MS) return;
    // Callers may send vectors of any length; the check compares directions.
    const length = Math.hypot(...vector);
    if (length === 0) return;
    this.lastAt.set(catalogue, at);
    this.store
      .add(
        catalogue,
        model,
        vector.map((value) => value / length),
      )
      .catch((error: unknown) => {
        this.logger.warn({ err: error, catalogue }, 'a query was not sampled');
      });
  }
}
