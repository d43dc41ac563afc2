import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { hasTfjsNode, tfjsNodeFolder } from '../../../infra/compute/tfjs-node-package.ts';
import { loadConfig } from '../../../infra/config/env.ts';
import { provisionAll } from '../../../infra/provision/report.ts';
import { provisionTensorflow } from '../../../infra/provision/tensorflow.ts';
import { weightsPath } from '../../../infra/provision/weights.ts';
import { workshop } from './workshop.ts';

const real = weightsPath(loadConfig());
const NO_NPM = 'echo "registry unreachable" >&2; exit 1';

test.skipIf(!existsSync(real))(
  'a missing native backend is told but is no failure (skipped where this user has no weights)',
  async () => {
    using shop = workshop();
    mkdirSync(dirname(weightsPath(shop.config)));
    copyFileSync(real, weightsPath(shop.config));
    shop.command('temporal', 'echo temporal version 1.5.1');
    shop.command('nvidia-smi', 'exit 9');
    shop.command('npm', NO_NPM);
    const config = loadConfig({ LOOKALIKE_CACHE_DIR: shop.config.cacheDir, LOOKALIKE_DATA_DIR: join(shop.root, 'd') });
    const outcomes = await provisionAll(config, shop.report, { env: shop.env });
    expect(outcomes.map(({ what, reused }) => [what, reused])).toEqual([
      ['weights', true],
      ['temporal', true],
      ['tensorflow', false],
    ]);
    expect(outcomes[2]?.missing).toMatch(/npm ci.*registry unreachable/s);
  },
);

test('a failure of what cannot be done without stops the other steps', async () => {
  using shop = workshop();
  shop.command('python3', 'echo "no index" >&2; exit 1');
  shop.command('temporal', 'echo temporal version 1.5.1');
  shop.command('npm', 'sleep 600');
  const config = loadConfig({
    LOOKALIKE_CACHE_DIR: shop.config.cacheDir,
    LOOKALIKE_DATA_DIR: join(shop.root, 'd'),
    LOOKALIKE_BACKEND: 'node',
  });
  const failure = provisionAll(config, shop.report, { env: shop.env });
  await expect(failure).rejects.toMatchObject({ code: 'missingDependency' });
  expect(shop.leftovers()).toEqual([]);
});

test('a native backend without its marker is not taken for a finished one, and a failed build places none', async () => {
  using shop = workshop();
  mkdirSync(join(tfjsNodeFolder(shop.config, 'cpu'), 'node_modules'), { recursive: true });
  shop.command('npm', NO_NPM);
  const failure = provisionTensorflow(shop.config, shop.report, 'cpu', shop);
  await expect(failure).rejects.toMatchObject({ code: 'missingDependency' });
  await expect(failure).rejects.toThrow(/C\+\+ compiler/);
  expect(hasTfjsNode(shop.config, 'cpu')).toBe(false);
  expect(shop.leftovers()).toEqual([]);
});
