import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { stopStack } from '../../../infra/supervisor/down.ts';
import { stopLeftovers } from '../../../infra/supervisor/leftovers.ts';
import { takeSupervisorLock } from '../../../infra/supervisor/lock.ts';
import { ManagedProcess } from '../../../infra/supervisor/managed-process.ts';
import { claimPort } from '../../../infra/supervisor/ports.ts';
import { identify, isAlive, signalProcess } from '../../../infra/supervisor/process-identity.ts';
import type { ProcessIdentity } from '../../../infra/supervisor/process-identity.ts';
import { readRunState, runStatePath, runningState, writeRunState } from '../../../infra/supervisor/run-state.ts';
import type { RunState } from '../../../infra/supervisor/run-state.ts';

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'lookalike-supervisor-'));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

const IDLE = 'setInterval(() => {}, 1000)';
const start = (code = IDLE) => spawn(process.execPath, ['-e', code], { detached: true, stdio: 'ignore' });

function stateOf(supervisor: ProcessIdentity, child: ProcessIdentity | null): RunState {
  return {
    formatVersion: 1,
    supervisor,
    status: 'ready',
    phase: 'ready',
    ports: { api: 1, temporal: 2, temporalUi: 3 },
    temporalAddress: '127.0.0.1:2',
    urls: { api: '', page: '', openapi: '', temporalUi: '' },
    processes: [{ name: 'api', kind: 'api', status: 'running', process: child, numRestarts: 0, log: '' }],
  };
}

test('a taken port is refused with the setting to change, and 0 takes a free one', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await expect(claimPort('127.0.0.1', port, 'LOOKALIKE_PORT')).rejects.toThrow(/LOOKALIKE_PORT/);
  server.close();
  await once(server, 'close');
  expect(await claimPort('127.0.0.1', port, 'LOOKALIKE_PORT')).toBe(port);
  expect(await claimPort('127.0.0.1', 0, 'LOOKALIKE_PORT')).toBeGreaterThan(0);
});

test('one supervisor per data directory, and a killed one leaves no stale lock', async () => {
  const lockModule = new URL('../../../infra/supervisor/lock.ts', import.meta.url).href;
  const holder = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `const { takeSupervisorLock } = await import(${JSON.stringify(lockModule)});
       globalThis.held = takeSupervisorLock({ dataDir: ${JSON.stringify(dataDir)} }); console.log('held'); ${IDLE}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(holder.stdout, 'data');
  expect(() => takeSupervisorLock({ dataDir })).toThrow(/lookalike down/);
  holder.kill('SIGKILL');
  await once(holder, 'exit');
  takeSupervisorLock({ dataDir }).release();
});

test('what a killed supervisor left running is found and stopped; nothing else is', async () => {
  const left = identify(start().pid!)!;
  const unrelated = identify(start().pid!)!;
  const state = stateOf({ pid: left.pid, startToken: 'a supervisor of the past' }, left);
  const recycled = { ...unrelated, startToken: 'an api of the past' };
  state.processes.push({ ...state.processes[0]!, name: 'recycled', process: recycled });
  writeRunState({ dataDir }, state);
  expect(runningState({ dataDir })).toBeUndefined();
  expect(await stopLeftovers({ dataDir })).toEqual(['api']);
  expect(isAlive(left)).toBe(false);
  expect(isAlive(unrelated)).toBe(true);
  expect(readRunState({ dataDir })).toBeUndefined();
  signalProcess(unrelated, 'SIGKILL');
});

test('down ends a supervisor from another process', async () => {
  const supervisor = identify(start().pid!)!;
  writeRunState({ dataDir }, stateOf(supervisor, null));
  expect(runningState({ dataDir })?.supervisor).toEqual(supervisor);
  expect(await stopStack({ dataDir })).toMatchObject({ outcome: 'stopped' });
  expect(isAlive(supervisor)).toBe(false);
  expect(await stopStack({ dataDir })).toMatchObject({ outcome: 'notRunning' });
});

test('a state file that is no state is as good as none', () => {
  writeFileSync(runStatePath({ dataDir }), '{"formatVersion": 99');
  expect(readRunState({ dataDir })).toBeUndefined();
});

test('a process that dies is started again, and a stopped one is not', async () => {
  const pids: number[] = [];
  const managed = new ManagedProcess(
    {
      name: 'victim',
      kind: 'trainer',
      log: '',
      graceMs: 5_000,
      async launch() {
        const child = start();
        pids.push(child.pid!);
        return { pid: child.pid!, exited: once(child, 'exit').then(([code, signal]) => String(code ?? signal)) };
      },
    },
    () => undefined,
  );
  await managed.start();
  process.kill(pids[0]!, 'SIGKILL');
  await expect.poll(() => managed.row.numRestarts, { timeout: 10_000 }).toBe(1);
  await expect.poll(() => managed.row.status).toBe('running');
  expect(managed.row.process?.pid).toBe(pids[1]);
  await managed.stop();
  expect(managed.row.status).toBe('stopped');
  expect(pids).toHaveLength(2);
  expect(identify(pids[1]!)).toBeUndefined();
});

test('a stop while it is being started again ends the new process and does not hang', async () => {
  const pids: number[] = [];
  const relaunching = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const managed = new ManagedProcess(
    {
      name: 'victim',
      kind: 'trainer',
      log: '',
      graceMs: 5_000,
      async launch() {
        if (pids.length > 0) {
          relaunching.resolve();
          await goOn.promise;
        }
        const child = start();
        pids.push(child.pid!);
        return { pid: child.pid!, exited: once(child, 'exit').then(([code, signal]) => String(code ?? signal)) };
      },
    },
    () => undefined,
  );
  await managed.start();
  process.kill(pids[0]!, 'SIGKILL');
  await relaunching.promise;
  const stopped = managed.stop();
  goOn.resolve();
  await stopped;
  expect(managed.row.status).toBe('stopped');
  expect(pids).toHaveLength(2);
  expect(identify(pids[1]!)).toBeUndefined();
});

test('a process is known from its first moment, before it is ready, and a stop ends it there', async () => {
  const spawned = Promise.withResolvers<number>();
  const managed = new ManagedProcess(
    {
      name: 'slow',
      kind: 'temporal',
      log: '',
      graceMs: 5_000,
      async launch(onSpawn) {
        const child = start();
        const exited = once(child, 'exit').then(([code, signal]) => String(code ?? signal));
        onSpawn(child.pid!);
        spawned.resolve(child.pid!);
        throw new Error(`ended with ${await exited}`);
      },
    },
    () => undefined,
  );
  const started = expect(managed.start()).rejects.toThrow(/SIGTERM/);
  const pid = await spawned.promise;
  expect(managed.row).toMatchObject({ status: 'starting', process: { pid } });
  await managed.stop();
  await started;
  expect(identify(pid)).toBeUndefined();
});

test('the guardian stops what its killed supervisor leaves, and nobody after a farewell', async () => {
  const guardian = new URL('../../../infra/supervisor/guardian.ts', import.meta.url).pathname;
  for (const isFarewell of [false, true]) {
    const ward = identify(start().pid!)!;
    const child = spawn(process.execPath, [guardian], { stdio: ['pipe', 'ignore', 'inherit'] });
    child.stdin.write(`${JSON.stringify([ward])}\n`);
    if (isFarewell) child.stdin.write('[]\n');
    child.stdin.end();
    await once(child, 'exit');
    expect(isAlive(ward)).toBe(isFarewell);
    signalProcess(ward, 'SIGKILL');
  }
});

test('the state file is replaced in one step', () => {
  const me = identify(process.pid)!;
  writeRunState({ dataDir }, stateOf(me, null));
  expect(JSON.parse(readFileSync(runStatePath({ dataDir }), 'utf8'))).toMatchObject({ supervisor: me });
});
