import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { identify, isAlive, signalProcess, stopProcess } from '../../../infra/supervisor/process-identity.ts';

const sleeper = () => spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true });
const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); console.log('ready')";

test('a process is the same only while its start time is the same', async () => {
  const child = sleeper();
  const identity = identify(child.pid!)!;
  expect(isAlive(identity)).toBe(true);
  expect(isAlive({ ...identity, startToken: `${identity.startToken}0` })).toBe(false);
  expect(await stopProcess(identity, 5_000)).toBe('stopped');
  expect(isAlive(identity)).toBe(false);
  expect(await stopProcess(identity, 5_000)).toBe('gone');
});

test('a stranger that inherited the number is not signalled', async () => {
  const child = sleeper();
  const identity = identify(child.pid!)!;
  expect(signalProcess({ pid: identity.pid, startToken: 'of an earlier process' }, 'SIGKILL')).toBe(false);
  expect(isAlive(identity)).toBe(true);
  await stopProcess(identity, 5_000);
});

test('a process that ignores the request is killed, with everything in its group', async () => {
  const code = `require('node:child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    .on('spawn', function () { console.log(this.pid) }); ${stubborn}`;
  const child = spawn(process.execPath, ['-e', code], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  while (!/^\d+$/m.test(output)) await once(child.stdout, 'data');
  const grandchild = identify(Number(/^\d+$/m.exec(output)![0]))!;
  expect(await stopProcess(identify(child.pid!)!, 200)).toBe('killed');
  await expect.poll(() => isAlive(grandchild)).toBe(false);
});
