import { Inject, Injectable } from '@nestjs/common';
import type { OnModuleDestroy } from '@nestjs/common';
import { LookalikeError, isLookalikeError } from '../../contracts/errors.ts';
import type { RoutingTable } from '../../contracts/serving.ts';
import type { Logger } from '../../infra/log/logger.ts';
import { recallOf } from '../../infra/shards/recall-of.ts';
import { Metrics } from '../health/metrics.service.ts';
import { LOGGER, SEARCHER, SETTINGS } from '../ports.ts';
import type { Searcher, SearcherAnswer, SearcherQuery } from '../ports.ts';
import type { ApiSettings } from '../settings.ts';

/** The k of recall@k. */
const K = 10;
/** A check waits at least so many times as long as the one before took: it costs the index workers a fiftieth of one's time at most. */
const REST = 50;
/** Index workers may let a check wait for whoever waits for an answer. */
const DEADLINE_MS = 20_000;

/** A search that was answered, and what the shards found for it. */
export interface Answered {
  query: Pick<SearcherQuery, 'catalogue' | 'category' | 'filter' | 'exact' | 'minScore'>;
  vector: Float32Array;
  found: Pick<SearcherAnswer, 'table' | 'hits' | 'coverage'>;
}

/**
 * Answers a few of the live searches once more, exactly, and counts how many of the true nearest the live answer held. The invariants: one
 * check at a time in this process, none sooner than `recallCheckMs` after the one before nor before {@link REST} times what that took, at the lowest
 * priority of the index workers; no search ever waits for one or fails by it.
 */
@Injectable()
export class RecallMonitor implements OnModuleDestroy {
  private readonly searcher: Searcher;
  private readonly metrics: Metrics;
  private readonly logger: Logger;
  private readonly everyMs: number;
  private readonly over = new AbortController();
  private nextAt = -Infinity;

  constructor(
    @Inject(SEARCHER) searcher: Searcher,
    @Inject(Metrics) metrics: Metrics,
    @Inject(LOGGER) logger: Logger,
    @Inject(SETTINGS) settings: ApiSettings,
  ) {
    this.searcher = searcher;
    this.metrics = metrics;
    this.logger = logger;
    this.everyMs = settings.limits.recallCheckMs;
  }

  /** Returns at once. Searches whose answer is exact, partial or cut off by score tell nothing. */
  offer(answered: Answered): void {
    const { exact, minScore } = answered.query;
    const { shardsAsked, shardsAnswered } = answered.found.coverage;
    const isTelling = exact !== true && minScore === undefined && shardsAnswered === shardsAsked;
    const started = performance.now();
    if (this.everyMs === 0 || !isTelling || started < this.nextAt) return;
    this.nextAt = Infinity;
    void this.check(answered).finally(() => {
      const took = performance.now() - started;
      this.nextAt = performance.now() + Math.max(this.everyMs, REST * took);
    });
  }

  onModuleDestroy(): void {
    this.over.abort();
  }

  private async check({ query, vector, found }: Answered): Promise<void> {
    const { catalogue, category, filter } = query;
    const { generation } = found.table;
    const sameGeneration = (table: RoutingTable): Promise<Float32Array> =>
      table.generation === generation
        ? Promise.resolve(vector)
        : Promise.reject(new LookalikeError('conflict', 'Another generation has come to serve.'));
    try {
      const { hits: truth } = await this.searcher.search({
        ...{ catalogue, category, filter, vector: sameGeneration, k: Math.min(K, Math.max(1, found.hits.length)) },
        ...{ exact: true, background: true, signal: this.over.signal, deadlineMs: DEADLINE_MS },
      });
      this.metrics.observeRecall(catalogue, recallOf(found.hits, truth));
    } catch (error) {
      this.metrics.observeRecall(catalogue, undefined);
      // Busy workers, a switch and the end of this process are no news.
      if (isLookalikeError(error)) this.logger.debug({ err: error, catalogue }, 'recall was not checked');
      else this.logger.warn({ err: error, catalogue }, 'recall could not be checked');
    }
  }
}
