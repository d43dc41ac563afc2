import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { identify, isAlive, signalProcess } from '../../infra/supervisor/process-identity.ts';
import type { ProcessIdentity } from '../../infra/supervisor/process-identity.ts';
import { readRunState } from '../../infra/supervisor/run-state.ts';
import type { RunState } from '../../infra/supervisor/run-state.ts';
import { createInstallation } from './installation.ts';
import type { Installation } from './installation.ts';

let shop: Installation;
beforeEach(() => {
  shop = createInstallation();
});
afterEach(() => shop.dispose());

const allOf = (state: RunState): ProcessIdentity[] =>
  [state.supervisor, ...state.processes.map((row) => row.process)].filter((process) => process !== null);
const living = (processes: ProcessIdentity[]): number => processes.filter(isAlive).length;

test('a supervisor killed with SIGKILL leaves no process behind, and up works again', async () => {
  const state = await shop.json<RunState>('up', '--detach');
  const processes = allOf(state);
  expect(living(processes)).toBe(processes.length);
  signalProcess(state.supervisor, 'SIGKILL');
  await expect.poll(() => living(processes), { timeout: 60_000, interval: 100 }).toBe(0);
  expect(await shop.json('status')).toMatchObject({ status: 'killed' });
  expect(await shop.json('up', '--detach')).toMatchObject({ status: 'ready' });
});

test('what a killed supervisor and a killed guardian leave is stopped by the next up', async () => {
  const state = await shop.json<RunState>('up', '--detach');
  const guardian = state.processes.find(({ kind }) => kind === 'guardian')?.process;
  signalProcess(guardian!, 'SIGKILL');
  signalProcess(state.supervisor, 'SIGKILL');
  const left = allOf(state).filter(({ pid }) => pid !== guardian?.pid && pid !== state.supervisor.pid);
  expect(living(left)).toBe(left.length);
  expect(await shop.json('up', '--detach')).toMatchObject({ status: 'ready' });
  expect(living(left)).toBe(0);
});

test('Ctrl-C ends a stack in the foreground in order, with exit code 0 and nothing left', async () => {
  const launcher = resolve(import.meta.dirname, '../../bin/lookalike.js');
  const env = {
    ...process.env,
    LOOKALIKE_DATA_DIR: shop.dataDir,
    LOOKALIKE_PORT: '0',
    LOOKALIKE_TEMPORAL_PORT: '0',
    LOOKALIKE_TEMPORAL_UI_PORT: '0',
  };
  const up = spawn(process.execPath, [launcher, 'up'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  let progress = '';
  up.stderr.on('data', (chunk: Buffer) => (progress += chunk.toString()));
  const state = (): RunState | undefined => readRunState(shop);
  await expect.poll(() => state()?.status, { timeout: 120_000, interval: 100 }).toBe('ready');
  const processes = allOf(state()!);
  up.kill('SIGINT');
  expect(await once(up, 'exit')).toEqual([0, null]);
  expect(living(processes)).toBe(0);
  expect(identify(up.pid!)).toBeUndefined();
  const order = ['stopping the API', 'stopping the workers', 'stopping Temporal'].map((text) => progress.indexOf(text));
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(order.every((at) => at >= 0)).toBe(true);
});
