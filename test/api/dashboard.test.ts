import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Registry } from 'prom-client';
import { parse } from 'yaml';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApp } from '../../api/app.ts';
import { Metrics } from '../../api/health/metrics.service.ts';
import { parseMetrics } from '../../cli/metrics-text.ts';
import type { Sample } from '../../cli/metrics-text.ts';
import { World, fruitsAndCars } from './fakes.ts';

const OPS = join(import.meta.dirname, '../../ops');

interface Dashboard {
  panels: { title: string; targets: { expr: string }[] }[];
}
interface Rules {
  groups: { rules: { alert: string; expr: string; annotations: { summary: string } }[] }[];
}
const dashboard = JSON.parse(readFileSync(join(OPS, 'grafana/serving.json'), 'utf8')) as Dashboard;
const rules = parse(readFileSync(join(OPS, 'prometheus/alerts.yml'), 'utf8')) as Rules;

const QUERIES = [
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }): [string, string] => [title, expr])),
  ...rules.groups.flatMap((group) => group.rules.map(({ alert, expr }): [string, string] => [alert, expr])),
];
/** Labels that Prometheus itself adds to what it reads. */
const ADDED = new Set(['job', 'instance']);

/** What a query reads: metrics with the labels that it selects by, and the labels that it groups by. */
function readsOf(expr: string): {
  metrics: { name: string; labels: [name: string, operator: string, value: string][] }[];
  by: string[];
} {
  const metrics = [...expr.matchAll(/\b((?:lookalike|process|nodejs)_\w+)(?:\{([^}]*)\})?/g)].map(
    ([, name, selector]) => ({
      name: name!,
      labels: [...(selector ?? '').matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
        ([, label, operator, value]): [string, string, string] => [label!, operator!, value!],
      ),
    }),
  );
  const by = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names]) => names!.split(',').map((one) => one.trim()));
  return { metrics, by };
}

/** The labels of what the API's own registry exposes under a name; undefined where it exposes nothing of that name. */
function labelsOf(registry: Registry, name: string): string[] | undefined {
  const [, base, part] = /^(.*?)(_bucket|_sum|_count)?$/.exec(name)!;
  const metric = registry.getSingleMetric(name) ?? registry.getSingleMetric(base!);
  if (metric === undefined || !('labelNames' in metric)) return undefined;
  return [...(metric.labelNames as string[]), ...(part === '_bucket' ? ['le'] : [])];
}

describe('dashboard and alert rules', () => {
  let app: NestFastifyApplication;
  let samples: Sample[];
  beforeAll(async () => {
    app = await createApp(new World(fruitsAndCars()).ports(), { auth: 'off', limits: { recallCheckMs: 1 } });
    const search = (payload: object) => app.inject({ method: 'POST', url: '/v1/catalogues/shop/search', payload });
    await search({ itemId: 'car' });
    const isChecked = async () => expect((await app.inject('/metrics')).payload).toContain('recall_found_total{');
    await vi.waitFor(isChecked);
    samples = parseMetrics((await app.inject('/metrics')).payload);
  });
  afterAll(() => app.close());

  it.each(QUERIES)('%s asks for what the API exposes', (_, expr) => {
    const { metrics, by } = readsOf(expr);
    expect(metrics.length).toBeGreaterThan(0);
    for (const { name, labels } of metrics) {
      const known = labelsOf(app.get(Metrics).registry, name);
      expect(known, `${name} is exposed`).toBeDefined();
      const asked = [...labels.map(([label]) => label), ...by].filter((label) => !ADDED.has(label));
      expect(known, name).toEqual(expect.arrayContaining(asked));
      const own = samples.filter((one) => one.name === name);
      for (const [label, operator, value] of labels) {
        // A value that must be equal is one that the API gives, where it has given one.
        if (operator !== '=' || label === 'outcome' || own.length === 0) continue;
        expect(
          own.map((one) => one.labels[label]),
          `${name}{${label}}`,
        ).toContain(value);
      }
    }
    const open = (expr.match(/\(/g) ?? []).length;
    expect(expr.match(/\)/g) ?? []).toHaveLength(open);
  });

  it('name every metric of ours, so that none is kept for nobody', async () => {
    const asked = new Set(QUERIES.flatMap(([, expr]) => readsOf(expr).metrics.map(({ name }) => name)));
    const own = (await app.get(Metrics).registry.getMetricsAsJSON()).map(({ name }) => name);
    for (const name of own.filter((one) => one.startsWith('lookalike_'))) {
      const isAsked = [name, `${name}_bucket`, `${name}_sum`].some((one) => asked.has(one));
      expect(isAsked, name).toBe(true);
    }
  });
});
