/** Samples that the percentile looks back on. */
const WINDOW = 64;
const MIN_DELAY_MS = 10;
const MAX_DELAY_MS = 250;
/** Before the first answers nothing is known. */
const FIRST_DELAY_MS = 50;
/** Second requests per first request, in the long run: hedging must not double the load of a busy system. */
const HEDGE_SHARE = 0.05;
const MAX_SAVED_HEDGES = 20;
/** Without a saved hedge, a silent host is given up on only after this much longer. */
const PATIENCE = 5;

/** When to ask a second replica: after the 95th percentile of the shard's own latencies ("The Tail at Scale"). */
export class HedgePolicy {
  readonly #latencies = new Map<string, { samples: number[]; next: number; p95: number }>();
  #saved = MAX_SAVED_HEDGES;

  record(shard: string, latencyMs: number): void {
    let known = this.#latencies.get(shard);
    if (known === undefined) {
      known = { samples: [], next: 0, p95: FIRST_DELAY_MS };
      this.#latencies.set(shard, known);
    }
    known.samples[known.next] = latencyMs;
    known.next = (known.next + 1) % WINDOW;
    if (known.next % 16 === 0) known.p95 = percentile95(known.samples);
  }

  /** How long to wait for the first replica; counts as a request that earns its share of a hedge. */
  delayMs(shard: string): number {
    this.#saved = Math.min(MAX_SAVED_HEDGES, this.#saved + HEDGE_SHARE);
    const p95 = this.#latencies.get(shard)?.p95 ?? FIRST_DELAY_MS;
    const delay = Math.min(MAX_DELAY_MS, Math.max(MIN_DELAY_MS, p95));
    return this.#saved >= 1 ? delay : Math.max(MAX_DELAY_MS, delay * PATIENCE);
  }

  spend(): void {
    this.#saved = Math.max(0, this.#saved - 1);
  }

  /** Forgets shards that no table names any more. */
  keepOnly(isKnown: (shard: string) => boolean): void {
    for (const shard of this.#latencies.keys()) if (!isKnown(shard)) this.#latencies.delete(shard);
  }
}

function percentile95(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.95)] ?? FIRST_DELAY_MS;
}
