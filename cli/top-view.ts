import type { Between } from './metrics-text.ts';
import { table } from './table.ts';

const SEARCH = { route: '/v1/catalogues/:catalogue/search' };
const STAGES = ['fetch', 'queue', 'decode', 'preprocess', 'infer', 'route', 'search', 'merge', 'rerank', 'total'];

/** What one look at the API's metrics says, for programs. */
export interface Top {
  seconds: number;
  searchesPerSecond: number;
  /** By HTTP status. */
  answersPerSecond: Record<string, number>;
  /** Null: nothing was answered. */
  searchMs: { p50: number | null; p95: number | null; p99: number | null };
  stages: { stage: string; perSecond: number; meanMs: number; p95Ms: number | null }[];
  slow: number;
  shards: { unanswered: number; hedged: number };
  /** Since the API began: they are few. */
  recall: { catalogue: string; recallAt10: number; checked: number }[];
  memoryMb: number | null;
  eventLoopLagMs: number | null;
  cpuShare: number;
}

export function topOf(between: Between): Top {
  const { seconds } = between;
  const statuses = between.grownBy('status', 'lookalike_http_requests_total', SEARCH);
  const numSearches = [...statuses.values()].reduce((sum, count) => sum + count, 0);
  const ms = (value: number | undefined): number | null => (value === undefined ? null : value * 1000);
  const took = (share: number): number | null =>
    ms(between.quantile(share, 'lookalike_http_request_seconds', { method: 'POST', ...SEARCH }));
  const stageName = 'lookalike_search_stage_seconds';
  const stages = STAGES.flatMap((stage) => {
    const count = between.grown(`${stageName}_count`, { stage });
    if (count === 0) return [];
    const meanMs = (between.grown(`${stageName}_sum`, { stage }) / count) * 1000;
    return [{ stage, perSecond: count / seconds, meanMs, p95Ms: ms(between.quantile(0.95, stageName, { stage })) }];
  });
  const memory = between.now('process_resident_memory_bytes');
  return {
    seconds,
    searchesPerSecond: numSearches / seconds,
    answersPerSecond: Object.fromEntries([...statuses].map(([status, count]) => [status, count / seconds])),
    searchMs: { p50: took(0.5), p95: took(0.95), p99: took(0.99) },
    stages,
    slow: between.grown('lookalike_search_slow_total'),
    shards: {
      unanswered: between.grown('lookalike_search_shards_total', { answered: 'no' }),
      hedged: between.grown('lookalike_search_hedges_total'),
    },
    recall: recallOf(between),
    memoryMb: memory === undefined ? null : memory / 1e6,
    eventLoopLagMs: ms(between.now('nodejs_eventloop_lag_p99_seconds')),
    cpuShare: between.grown('process_cpu_seconds_total') / seconds,
  };
}

function recallOf(between: Between): Top['recall'] {
  const catalogues = [...between.grownBy('catalogue', 'lookalike_recall_expected_total').keys()].sort();
  return catalogues.flatMap((catalogue) => {
    const expected = between.total('lookalike_recall_expected_total', { catalogue });
    const found = between.total('lookalike_recall_found_total', { catalogue });
    return expected === 0 ? [] : [{ catalogue, recallAt10: found / expected, checked: expected }];
  });
}

/** As a person reads it. */
export function describeTop(top: Top): string {
  const ms = (value: number | null): string => (value === null ? '-' : `${value.toFixed(1)} ms`);
  const { p50, p95, p99 } = top.searchMs;
  const statuses = Object.entries(top.answersPerSecond).filter(([, rate]) => rate > 0);
  const memory = top.memoryMb === null ? '-' : `${top.memoryMb.toFixed(0)} MB`;
  return [
    `Searches ${top.searchesPerSecond.toFixed(1)}/s   p50 ${ms(p50)}   p95 ${ms(p95)}   p99 ${ms(p99)}`,
    `Answers ${statuses.map(([status, rate]) => `${status}: ${rate.toFixed(1)}/s`).join('  ') || 'none'}`,
    `Slow ${top.slow}   shards unanswered ${top.shards.unanswered}   hedged ${top.shards.hedged}`,
    `API ${memory}   CPU ${(top.cpuShare * 100).toFixed(0)}%   event loop p99 ${ms(top.eventLoopLagMs)}`,
    ...top.recall.map(
      ({ catalogue, recallAt10, checked }) =>
        `Recall@10 of ${catalogue} ${recallAt10.toFixed(4)} (${checked} neighbours checked since the API began)`,
    ),
    ...(top.stages.length === 0
      ? []
      : [
          '',
          table(
            ['STAGE', 'PER S', 'MEAN MS', 'P95 MS'],
            top.stages.map((one) => [
              ...[one.stage, one.perSecond.toFixed(1), one.meanMs.toFixed(2)],
              one.p95Ms?.toFixed(1) ?? null,
            ]),
          ),
        ]),
  ].join('\n');
}
