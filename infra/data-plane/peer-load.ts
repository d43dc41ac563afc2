/** What was measured so long ago counts a third of what is measured now. */
const MEMORY_MS = 5_000;

/**
 * How loaded a host is, as its callers feel it: the time it takes, by the number of requests that already wait for it here ("peak EWMA", as in
 * Twitter's Finagle). A slow answer counts at once, quick ones mend it gradually, and without news it is forgotten, so that a host that recovered
 * is tried again.
 */
export class PeerLoad {
  inFlight = 0;
  #latencyMs = 0;
  #measuredAt = -Infinity;

  /** @param now of performance.now() */
  record(latencyMs: number, now: number): void {
    const known = this.#latency(now);
    const weight = Math.exp((this.#measuredAt - now) / MEMORY_MS);
    this.#latencyMs = latencyMs > known ? latencyMs : known * weight + latencyMs * (1 - weight);
    this.#measuredAt = now;
  }

  /** For a request that was called off before it was answered: it would have taken longer. */
  recordAtLeast(latencyMs: number, now: number): void {
    if (latencyMs > this.#latency(now)) this.record(latencyMs, now);
  }

  /** Higher is more loaded; of hosts that nothing is known of, only what is in flight. */
  value(now: number): number {
    // A floor, so that what is in flight tells two idle hosts apart.
    return (this.#latency(now) + 0.1) * (this.inFlight + 1);
  }

  #latency(now: number): number {
    return this.#latencyMs * Math.exp((this.#measuredAt - now) / MEMORY_MS);
  }
}
