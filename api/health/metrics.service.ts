import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { DeltaStatus } from '../../contracts/changes.ts';
import type { SearchAnswer, ShardExplanation } from '../../contracts/serving.ts';
import type { RecallCount } from '../../infra/shards/recall-of.ts';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

/** What Prometheus reads from this process. Labels are bounded: routes, stages and catalogues, never ids. */
@Injectable()
export class Metrics {
  readonly registry = new Registry();

  private readonly requests = new Counter({
    name: 'lookalike_http_requests_total',
    help: 'Requests answered.',
    labelNames: ['method', 'route', 'status'],
    registers: [this.registry],
  });
  private readonly durations = new Histogram({
    name: 'lookalike_http_request_seconds',
    help: 'Time from request to the last byte of its answer.',
    labelNames: ['method', 'route'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  private readonly stages = new Histogram({
    name: 'lookalike_search_stage_seconds',
    help: 'Time of each stage of a search.',
    labelNames: ['stage'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  private readonly shards = new Counter({
    name: 'lookalike_search_shards_total',
    help: 'Shards asked by searches, by whether they answered.',
    labelNames: ['answered'],
    registers: [this.registry],
  });

  private readonly writes = new Counter({
    name: 'lookalike_item_writes_total',
    help: 'Writes of items acknowledged, by what they came to.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly searchable = new Histogram({
    name: 'lookalike_item_searchable_seconds',
    help: 'Time from the acknowledgement of a write until all replicas that answer search it.',
    buckets: [0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 120, 600],
    registers: [this.registry],
  });
  private readonly delta = new Gauge({
    name: 'lookalike_delta_items',
    help: 'Items beside the index, searched or waiting for the vector of their new picture; of catalogues written here.',
    labelNames: ['catalogue', 'state'],
    registers: [this.registry],
  });
  private readonly hedges = new Counter({
    name: 'lookalike_search_hedges_total',
    help: 'Shards where a slow replica was raced by another.',
    registers: [this.registry],
  });
  private readonly slow = new Counter({
    name: 'lookalike_search_slow_total',
    help: 'Searches that took longer than LOOKALIKE_SLOW_SEARCH_MS.',
    registers: [this.registry],
  });
  private readonly recallChecks = new Counter({
    name: 'lookalike_recall_checks_total',
    help: 'Live searches that were answered once more, exactly, by whether that could be done.',
    labelNames: ['outcome'],
    registers: [this.registry],
  });
  private readonly recallExpected = new Counter({
    name: 'lookalike_recall_expected_total',
    help: 'True nearest (10 a search) of the checked live searches.',
    labelNames: ['catalogue'],
    registers: [this.registry],
  });
  private readonly recallFound = new Counter({
    name: 'lookalike_recall_found_total',
    help: 'Of the true nearest, those that the live answers held: recall@10 is this by lookalike_recall_expected_total.',
    labelNames: ['catalogue'],
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  observeRequest(request: { method: string; route: string; status: number; seconds: number }): void {
    const { method, route, status, seconds } = request;
    this.requests.inc({ method, route, status });
    this.durations.observe({ method, route }, seconds);
  }

  observeWrites(counts: Record<string, number>): void {
    for (const [outcome, count] of Object.entries(counts)) this.writes.inc({ outcome }, count);
  }

  observeSearchable(seconds: number): void {
    this.searchable.observe(seconds);
  }

  observeDelta(catalogue: string, { numRows, numWaiting }: DeltaStatus): void {
    this.delta.set({ catalogue, state: 'searched' }, numRows);
    this.delta.set({ catalogue, state: 'waiting' }, numWaiting);
  }

  observeSearch({ timingsMs, coverage }: SearchAnswer, shards: readonly ShardExplanation[], isSlow: boolean): void {
    this.hedges.inc(shards.filter(({ isHedged }) => isHedged).length);
    if (isSlow) this.slow.inc();
    for (const [stage, ms] of Object.entries(timingsMs)) this.stages.observe({ stage }, ms / 1000);
    this.shards.inc({ answered: 'yes' }, coverage.shardsAnswered);
    this.shards.inc({ answered: 'no' }, coverage.shardsAsked - coverage.shardsAnswered);
  }

  /** @param count undefined: it could not be checked */
  observeRecall(catalogue: string, count: RecallCount | undefined): void {
    this.recallChecks.inc({ outcome: count === undefined ? 'failed' : 'checked' });
    if (count === undefined) return;
    this.recallExpected.inc({ catalogue }, count.expected);
    this.recallFound.inc({ catalogue }, count.found);
  }
}
