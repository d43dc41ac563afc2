import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cudaDevices } from '../../../infra/compute/cuda.ts';
import { loadingProblem, resolveExecutionProvider } from '../../../infra/compute/execution-provider.ts';

test('CUDA devices are those the driver lists, unless they are hidden', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lookalike-driver-'));
  const driver = join(folder, 'nvidia-smi');
  writeFileSync(driver, '#!/bin/sh\necho "GPU 0: NVIDIA L4 (UUID: GPU-1)"\necho "GPU 1: NVIDIA L4 (UUID: GPU-2)"\n');
  chmodSync(driver, 0o755);
  expect(await cudaDevices({ PATH: folder })).toEqual(['NVIDIA L4', 'NVIDIA L4']);
  expect(await cudaDevices({ PATH: folder, CUDA_VISIBLE_DEVICES: '-1' })).toEqual([]);
  expect(await cudaDevices({ PATH: join(folder, 'none') })).toEqual([]);
});

test('ONNX Runtime loads and runs a model on the CPU', async () => {
  expect(await loadingProblem('cpu')).toBeNull();
});

test('without a CUDA device embedding runs on the CPU, and says so', async () => {
  const none = async (): Promise<string[]> => [];
  expect(await resolveExecutionProvider({ executionProvider: 'auto' }, none)).toEqual({
    provider: 'cpu',
    reason: 'no CUDA device is visible',
  });
});

test('CUDA that is demanded but cannot be had is an error that names the fix', async () => {
  const failure = resolveExecutionProvider({ executionProvider: 'cuda' }, async () => []);
  await expect(failure).rejects.toMatchObject({ code: 'missingDependency' });
  await expect(failure).rejects.toThrow(/LOOKALIKE_EXECUTION_PROVIDER=auto/);
});
