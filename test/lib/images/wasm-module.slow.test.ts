import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { kernelModule } from '../../../tools/build-kernels.ts';

test('the committed kernels are what their sources compile to', () => {
  const committed = readFileSync(new URL('../../../lib/images/kernels/wasm-module.ts', import.meta.url), 'utf8');
  // Not `toBe`, whose report of a difference would print all of both.
  expect(committed === kernelModule('lib/images/kernels'), 'run `npm run build:kernels` and commit').toBe(true);
});
