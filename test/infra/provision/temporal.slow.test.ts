import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { provisionTemporal, temporalCachePath } from '../../../infra/provision/temporal.ts';
import { workshop } from './workshop.ts';

const WORKS = 'echo "temporal version 1.5.1 (Server 1.29.1)"';
const BROKEN = 'echo "cannot execute" >&2; exit 126';
/** A Go that counts its calls and "builds" the given script. */
const goThatBuilds = (root: string, script: string): string =>
  `echo "$@" >> ${root}/go-calls; mkdir -p "$GOBIN"; printf '#!/bin/sh\\n%s\\n' '${script}' > "$GOBIN/temporal"; chmod +x "$GOBIN/temporal"`;

test('a working temporal on PATH is taken before the cache', async () => {
  using shop = workshop();
  const onPath = shop.command('temporal', WORKS);
  shop.command('temporal', WORKS, dirname(temporalCachePath(shop.config)));
  const found = await provisionTemporal(shop.config, shop.report, shop);
  expect(found).toEqual({ path: onPath, source: 'PATH' });
  expect(shop.phases().at(-1)).toBe('reused');
});

test('a temporal on PATH that does not run is passed over for the cache', async () => {
  using shop = workshop();
  shop.command('temporal', BROKEN);
  const cached = shop.command('temporal', WORKS, dirname(temporalCachePath(shop.config)));
  expect(await provisionTemporal(shop.config, shop.report, shop)).toEqual({ path: cached, source: 'cache' });
});

test('without either, and with the download blocked, Go builds the pinned version into the cache', async () => {
  using shop = workshop();
  shop.command('go', goThatBuilds(shop.root, WORKS));
  const found = await provisionTemporal(shop.config, shop.report, shop);
  expect(found).toEqual({ path: temporalCachePath(shop.config), source: 'go install' });
  expect(readFileSync(join(shop.root, 'go-calls'), 'utf8')).toMatch(/^install -v \S+\/temporal@v1\.5\.1\n$/);
  expect(shop.phases()).toContain('download');
  expect(shop.phases().at(-1)).toBe('done');
  expect(shop.leftovers()).toEqual([]);
  expect((await provisionTemporal(shop.config, shop.report, shop)).source).toBe('cache');
});

test('when no way works the error says what to do and nothing is placed', async () => {
  using shop = workshop();
  shop.command('go', 'echo "go: no network" >&2; exit 1');
  const failure = provisionTemporal(shop.config, shop.report, shop);
  await expect(failure).rejects.toMatchObject({ code: 'missingDependency' });
  await expect(failure).rejects.toThrow(
    /install Go, or set TEMPORAL_ADDRESS.*SDK's download:.*go install:.*no network/s,
  );
  expect(existsSync(temporalCachePath(shop.config))).toBe(false);
  expect(shop.leftovers()).toEqual([]);
});

test('a build that does not run is not placed', async () => {
  using shop = workshop();
  shop.command('go', goThatBuilds(shop.root, 'exit 1'));
  await expect(provisionTemporal(shop.config, shop.report, shop)).rejects.toThrow(/does not run/);
  expect(existsSync(temporalCachePath(shop.config))).toBe(false);
});

test('two at once build once', async () => {
  using shop = workshop();
  shop.command('go', goThatBuilds(shop.root, WORKS));
  const both = await Promise.all([1, 2].map(() => provisionTemporal(shop.config, shop.report, shop)));
  expect(both.map(({ source }) => source).sort()).toEqual(['cache', 'go install']);
  expect(readFileSync(join(shop.root, 'go-calls'), 'utf8').trim().split('\n')).toHaveLength(1);
});
