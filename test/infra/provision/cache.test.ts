import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withCacheLock, withScratch } from '../../../infra/provision/cache.ts';
import { workshop } from './workshop.ts';

test('the lock of a process that was killed passes to the next one that waits', async () => {
  using shop = workshop();
  const holder = spawn(process.execPath, ['--input-type=module', '-e', holdForever(shop.config.cacheDir)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  let isWaiting = false;
  const killer = (): void => {
    isWaiting = true;
    holder.kill('SIGKILL');
  };
  expect(await withCacheLock(shop.config, 'thing', undefined, async () => 'done', killer)).toBe('done');
  expect(isWaiting).toBe(true);
});

test('different things are provided side by side', async () => {
  using shop = workshop();
  const inner = (): Promise<string> => withCacheLock(shop.config, 'b', undefined, async () => 'both');
  expect(await withCacheLock(shop.config, 'a', undefined, inner)).toBe('both');
});

test('waiting for the lock can be cancelled', async () => {
  using shop = workshop();
  const abort = new AbortController();
  const failure = withCacheLock(shop.config, 'thing', undefined, () =>
    withCacheLock(
      shop.config,
      'thing',
      abort.signal,
      async () => 'never',
      () => abort.abort(),
    ),
  );
  await expect(failure).rejects.toMatchObject({ code: 'cancelled' });
});

test('unfinished work starts empty and is gone afterwards, also after a failure', async () => {
  using shop = workshop();
  const folder = join(shop.config.cacheDir, 'partial', 'thing');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'stale'), '');
  const failure = withScratch(shop.config, 'thing', async (scratch) => {
    expect(existsSync(join(scratch, 'stale'))).toBe(false);
    throw new Error('broke');
  });
  await expect(failure).rejects.toThrow('broke');
  expect(shop.leftovers()).toEqual([]);
});

function holdForever(cacheDir: string): string {
  const module = JSON.stringify(new URL('../../../infra/provision/cache.ts', import.meta.url).href);
  return `import { withCacheLock } from ${module};
    await withCacheLock({ cacheDir: ${JSON.stringify(cacheDir)} }, 'thing', undefined, () => {
      console.log('held');
      return new Promise(() => setInterval(() => {}, 1000));
    });`;
}
