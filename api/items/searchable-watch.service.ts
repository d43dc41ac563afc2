import { setTimeout as delay } from 'node:timers/promises';
import { Inject, Injectable } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import type { Logger } from '../../infra/log/logger.ts';
import { Metrics } from '../health/metrics.service.ts';
import { LOGGER, SEARCHER } from '../ports.ts';
import type { Searcher } from '../ports.ts';

/** One acknowledged write. */
interface Pending {
  seq: number;
  at: number;
  /** Called when it is searched, or given up. */
  settle: (searchable: boolean) => void;
}

/** What a lag may be measured too long by. */
const LOOK_MS = 100;
/** Nobody waits longer for one, and a lag beyond says no more than this. */
const GIVE_UP_MS = 600_000;
const MAX_PENDING = 10_000;

/**
 * Follows acknowledged writes of this process until every replica that answers searches them, and measures how long that took, by one clock.
 * Invariant: a catalogue is looked at only while one of its writes is pending.
 */
@Injectable()
export class SearchableWatch implements OnModuleDestroy {
  private readonly searcher: Searcher;
  private readonly metrics: Metrics;
  private readonly logger: Logger;
  private readonly pending = new Map<string, Pending[]>();
  private readonly stop = new AbortController();

  constructor(@Inject(SEARCHER) searcher: Searcher, @Inject(Metrics) metrics: Metrics, @Inject(LOGGER) logger: Logger) {
    this.searcher = searcher;
    this.metrics = metrics;
    this.logger = logger;
  }

  onModuleDestroy(): void {
    this.stop.abort();
  }

  /** Of a write that was acknowledged now. Resolves with false when it was given up. */
  follow(catalogue: string, seq: number): Promise<boolean> {
    return new Promise((settle) => {
      const row = { seq, at: performance.now(), settle };
      const rows = this.pending.get(catalogue);
      if (rows === undefined) {
        this.pending.set(catalogue, [row]);
        void this.watch(catalogue);
      } else if (rows.length < MAX_PENDING) rows.push(row);
      else settle(false);
    });
  }

  private async watch(catalogue: string): Promise<void> {
    const rows = this.pending.get(catalogue)!;
    while (rows.length > 0 && !this.stop.signal.aborted) {
      await delay(LOOK_MS, undefined, { signal: this.stop.signal }).catch(() => undefined);
      const searchableSeq = await this.look(catalogue);
      const now = performance.now();
      const isOver = ({ seq, at }: Pending): boolean => seq <= searchableSeq || now - at > GIVE_UP_MS;
      for (const { seq, at, settle } of rows.filter(isOver)) {
        if (seq <= searchableSeq) this.metrics.observeSearchable((now - at) / 1000);
        settle(seq <= searchableSeq);
      }
      rows.splice(0, rows.length, ...rows.filter((row) => !isOver(row)));
    }
    for (const { settle } of rows) settle(false);
    this.pending.delete(catalogue);
  }

  /** -1 while nothing can be said. */
  private async look(catalogue: string): Promise<number> {
    try {
      const status = await this.searcher.deltaStatus(catalogue);
      if (status === undefined) return -1;
      this.metrics.observeDelta(catalogue, status);
      return status.searchableSeq;
    } catch (error) {
      this.logger.debug({ err: error, catalogue }, 'how far changes are searched is not known now');
      return -1;
    }
  }
}
