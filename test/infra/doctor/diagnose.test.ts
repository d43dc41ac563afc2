import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../../infra/config/env.ts';
import { judgeBackend } from '../../../infra/doctor/compute-questions.ts';
import { answer, diagnose } from '../../../infra/doctor/diagnose.ts';
import { judgeNode, judgeSpace } from '../../../infra/doctor/machine-questions.ts';

function installation(env: Record<string, string> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'lookalike-doctor-'));
  const paths = { LOOKALIKE_DATA_DIR: join(root, 'data'), LOOKALIKE_CACHE_DIR: join(root, 'cache') };
  return { root, config: loadConfig({ ...paths, LOOKALIKE_BACKEND: 'wasm', ...env }) };
}

test('a fresh installation lacks only what the first start provides, and asking makes nothing', async () => {
  const { root, config } = installation();
  const checks = await diagnose(config);
  const lacking = checks.filter(({ status, name }) => status !== 'ok' && name !== 'Temporal');
  expect(lacking).toEqual([
    {
      name: 'backbone weights',
      status: 'missing',
      found: 'not downloaded yet',
      why: expect.any(String) as string,
      fix: 'lookalike up',
    },
  ]);
  expect(checks.find(({ name }) => name === 'training backend')).toMatchObject({ found: 'wasm' });
  expect(existsSync(join(root, 'data', 'registry.sqlite'))).toBe(false);
  expect(existsSync(join(root, 'data', 'artifacts'))).toBe(false);
});

test('services that do not answer are named, each with its fix', async () => {
  const { config } = installation({
    DATABASE_URL: 'postgres://127.0.0.1:1/none',
    LOOKALIKE_ARTIFACTS: 's3://bucket/prefix',
    LOOKALIKE_S3_ENDPOINT: 'http://127.0.0.1:1',
    AWS_ACCESS_KEY_ID: 'key',
    AWS_SECRET_ACCESS_KEY: 'secret',
  });
  const checks = await diagnose(config);
  expect(checks.find(({ name }) => name === 'registry')).toMatchObject({
    status: 'missing',
    found: expect.stringContaining('ECONNREFUSED') as string,
    fix: expect.stringContaining('DATABASE_URL') as string,
  });
  expect(checks.find(({ name }) => name === 'artefact store')).toMatchObject({
    status: 'missing',
    fix: expect.stringContaining('LOOKALIKE_S3_ENDPOINT') as string,
  });
});

test('a damaged registry and damaged weights are found', async () => {
  const { config } = installation();
  writeFileSync(join(config.dataDir, 'registry.sqlite'), 'no database'.repeat(500));
  mkdirSync(join(config.cacheDir, 'weights'), { recursive: true });
  writeFileSync(join(config.cacheDir, 'weights', 'efficientnet-lite0-57934424.pth'), 'damaged');
  const checks = await diagnose(config);
  expect(checks.find(({ name }) => name === 'registry')).toMatchObject({ status: 'missing' });
  expect(checks.find(({ name }) => name === 'backbone weights')).toMatchObject({
    status: 'missing',
    found: expect.stringContaining('SHA-256') as string,
  });
});

test('a question that throws has found the thing missing', async () => {
  const ask = (): Promise<never> => Promise.reject(new Error('gone'));
  expect(await answer({ name: 'thing', why: 'for all', fix: 'get it', ask })).toEqual({
    name: 'thing',
    status: 'missing',
    found: 'gone',
    why: 'for all',
    fix: 'get it',
  });
});

test('an old Node and a full disk are found', () => {
  expect(judgeNode('20.20.2').status).toBe('missing');
  expect(judgeNode('24.0.0').status).toBe('ok');
  expect([5e9, 2e9, 1e8].map((free) => judgeSpace(free, 'X').status)).toEqual(['ok', 'warning', 'missing']);
});

test('a slower backend than this machine could use is a warning, unless it was chosen', () => {
  const gpu = { backend: 'gpu', reason: 'libtensorflow does not see it.' } as const;
  expect(judgeBackend({ backend: 'node', tried: [gpu] }, []).status).toBe('ok');
  expect(judgeBackend({ backend: 'node', tried: [gpu] }, ['L4'])).toMatchObject({
    status: 'warning',
    why: expect.stringContaining('does not see') as string,
  });
  expect(judgeBackend({ backend: 'wasm', tried: [gpu, { backend: 'node', reason: 'absent' }] }, []).status).toBe(
    'warning',
  );
  expect(judgeBackend({ backend: 'wasm', tried: [] }, []).status).toBe('ok');
});
