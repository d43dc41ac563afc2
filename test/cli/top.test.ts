import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { Between, parseMetrics } from '../../cli/metrics-text.ts';
import { describeTop, topOf } from '../../cli/top-view.ts';

describe('a metrics page', () => {
  it('is read as the library writes it, whatever its labels hold', async () => {
    const registry = new Registry();
    const counter = new Counter({ name: 'c_total', help: 'c', labelNames: ['a', 'b'], registers: [registry] });
    const odd = 'quote " backslash \\ line\nbrace } comma , equals =';
    counter.inc({ a: odd, b: '' }, 3);
    new Gauge({ name: 'g', help: 'g', registers: [registry] }).set(-1.5e-7);
    const histogram = new Histogram({ name: 'h', help: 'h', buckets: [1, 2], registers: [registry] });
    histogram.observe(5);
    const samples = parseMetrics(await registry.metrics());
    expect(samples).toContainEqual({ name: 'c_total', labels: { a: odd, b: '' }, value: 3 });
    expect(samples).toContainEqual({ name: 'g', labels: {}, value: -1.5e-7 });
    expect(samples).toContainEqual({ name: 'h_bucket', labels: { le: '+Inf' }, value: 1 });
    expect(samples).toContainEqual({ name: 'h_bucket', labels: { le: '2' }, value: 0 });
  });
});

describe('what is between two looks', () => {
  const page = (lines: string[]) => parseMetrics(lines.join('\n'));

  it('is what counters grew by; one that was started anew counts from zero', () => {
    const between = new Between(
      page(['c{a="x"} 10', 'c{a="y"} 7']),
      page(['c{a="x"} 15', 'c{a="y"} 2', 'c{a="z"} 1']),
      2,
    );
    expect(between.grown('c')).toBe(5 + 2 + 1);
    expect([...between.grownBy('a', 'c')]).toEqual([
      ['x', 5],
      ['y', 2],
      ['z', 1],
    ]);
    expect(between.grown('nothing')).toBe(0);
  });

  it('has quantiles by straight lines within buckets', () => {
    const before = page(['h_bucket{le="1"} 5', 'h_bucket{le="2"} 5', 'h_bucket{le="4"} 5', 'h_bucket{le="+Inf"} 5']);
    const now = page(['h_bucket{le="1"} 6', 'h_bucket{le="2"} 9', 'h_bucket{le="4"} 13', 'h_bucket{le="+Inf"} 15']);
    const between = new Between(before, now, 1);
    // 1 up to 1, 3 more up to 2, 4 more up to 4, 2 beyond.
    expect(between.quantile(0.1, 'h')).toBeCloseTo(1);
    expect(between.quantile(0.25, 'h')).toBeCloseTo(1.5);
    expect(between.quantile(0.6, 'h')).toBeCloseTo(3);
    expect(between.quantile(0.99, 'h')).toBe(4);
    expect(new Between(now, now, 1).quantile(0.5, 'h')).toBeUndefined();
  });
});

describe('top', () => {
  const counts = (n: number): string[] => [
    `lookalike_http_requests_total{method="POST",route="/v1/catalogues/:catalogue/search",status="200"} ${10 * n}`,
    `lookalike_http_requests_total{method="POST",route="/v1/catalogues/:catalogue/search",status="503"} ${n}`,
    `lookalike_http_requests_total{method="GET",route="/metrics",status="200"} ${99 * n}`,
    ...[0.005, 0.01, '+Inf'].map(
      (le, i) =>
        `lookalike_http_request_seconds_bucket{le="${le}",method="POST",route="/v1/catalogues/:catalogue/search"} ${[0, 11, 11][i]! * n}`,
    ),
    `lookalike_search_stage_seconds_sum{stage="search"} ${0.02 * n}`,
    `lookalike_search_stage_seconds_count{stage="search"} ${10 * n}`,
    `lookalike_recall_expected_total{catalogue="shop"} ${100 * n}`,
    `lookalike_recall_found_total{catalogue="shop"} ${97 * n}`,
    `process_resident_memory_bytes 123000000`,
  ];
  const between = new Between(parseMetrics(counts(1).join('\n')), parseMetrics(counts(3).join('\n')), 4);

  it('tells rates, times and recall', () => {
    const top = topOf(between);
    expect(top).toMatchObject({ searchesPerSecond: 5.5, answersPerSecond: { '200': 5, '503': 0.5 }, memoryMb: 123 });
    expect(top.searchMs.p50).toBeCloseTo(7.5);
    expect(top.stages).toEqual([{ stage: 'search', perSecond: 5, meanMs: expect.closeTo(2) as number, p95Ms: null }]);
    expect(top.recall).toEqual([{ catalogue: 'shop', recallAt10: 0.97, checked: 300 }]);
  });

  it('is read by a person', () => {
    const text = describeTop(topOf(between));
    expect(text).toContain('Searches 5.5/s   p50 7.5 ms');
    expect(text).toContain('503: 0.5/s');
    expect(text).toContain('Recall@10 of shop 0.9700');
    expect(text).toMatch(/search +5\.0 +2\.00/);
    expect(describeTop(topOf(new Between([], [], 1)))).toContain('Answers none');
  });
});
