import { execFile } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { loadTensorFlow } from '../../../infra/compute/tensorflow.ts';
import { hasTfjsNode } from '../../../infra/compute/tfjs-node-package.ts';
import { loadConfig } from '../../../infra/config/env.ts';

const { cacheDir } = loadConfig();
const empty = mkdtempSync(join(tmpdir(), 'lookalike-empty-cache-'));

test('without a native backend the chain ends at WebAssembly and says why', async () => {
  const { tf, backend, tried } = await loadTensorFlow({ backend: 'auto', cacheDir: empty });
  expect([backend, tf.getBackend()]).toEqual(['wasm', 'wasm']);
  expect(tried.map((other) => other.backend)).toEqual(['gpu', 'node']);
  expect(tried[1]?.reason).toMatch(/not provisioned/);
});

test('the configured backend is where the chain begins', async () => {
  const { tf, backend, tried } = await loadTensorFlow({ backend: 'cpu', cacheDir: empty });
  expect([backend, tf.getBackend(), tried]).toEqual(['cpu', 'cpu', []]);
});

test('WebAssembly trains dense layers, and equal seeds give equal bytes', async () => {
  const runs = [await train('wasm'), await train('wasm')];
  expect(runs[0]).toMatchObject({ backend: 'wasm', hasLearnt: true });
  expect(runs[1]).toEqual(runs[0]);
});

test.skipIf(!hasTfjsNode({ cacheDir }, 'cpu'))(
  'libtensorflow trains dense layers, and equal seeds give equal bytes (skipped where this user has not built it)',
  async () => {
    // The second run is offered more threads than the product asks for.
    const runs = [await train('node'), await train('node', { TF_NUM_INTRAOP_THREADS: '3' }), await train('node')];
    expect(runs[0]).toMatchObject({ backend: 'node', hasLearnt: true });
    expect(runs[1]).toEqual(runs[0]);
    expect(runs[2]).toEqual(runs[0]);
  },
);

/** In a process of its own, as in production: nothing of one run can leak into the next. */
async function train(backend: string, env: Record<string, string> = {}): Promise<unknown> {
  const script = fileURLToPath(new URL('train-dense.ts', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, backend, cacheDir], {
    env: { ...process.env, ...env },
  });
  return JSON.parse(stdout);
}
