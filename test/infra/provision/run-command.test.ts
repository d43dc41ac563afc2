import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { runCommand } from '../../../infra/provision/run-command.ts';
import { workshop } from './workshop.ts';

test('a failing command is reported with its exit code and the end of its log', async () => {
  using shop = workshop();
  const logFile = join(shop.root, 'logs', 'work.log');
  const script = shop.command('work', 'for i in 1 2 3 4 5 6 7 8; do echo line $i; done; echo broken >&2; exit 3');
  const failure = runCommand(script, ['--hard'], { logFile, env: shop.env });
  await expect(failure).rejects.toMatchObject({ code: 'unavailable' });
  await expect(failure).rejects.toThrow(/--hard` to succeed, it ended with exit code 3.*line 8\nbroken/s);
  await expect(failure).rejects.not.toThrow(/line 1\n/);
  expect(readFileSync(logFile, 'utf8')).toMatch(/^\$ .*work --hard\nline 1\n/);
});

test('a command that does not exist is a missing dependency', async () => {
  using shop = workshop();
  const failure = runCommand('no-such-command', [], { logFile: join(shop.root, 'log'), env: shop.env });
  await expect(failure).rejects.toMatchObject({ code: 'missingDependency' });
});

test('cancelling kills the command and what it started', async () => {
  using shop = workshop();
  const pidFile = join(shop.root, 'pid');
  const script = shop.command('work', `sleep 600 & echo $! > ${pidFile}.draft; mv ${pidFile}.draft ${pidFile}; wait`);
  const abort = new AbortController();
  const failure = runCommand(script, [], { logFile: join(shop.root, 'log'), env: shop.env, signal: abort.signal });
  failure.catch(() => undefined);
  await vi.waitFor(() => expect(existsSync(pidFile)).toBe(true), 10_000);
  const pid = Number(readFileSync(pidFile, 'utf8'));
  expect(isAlive(pid)).toBe(true);
  abort.abort();
  await expect(failure).rejects.toMatchObject({ code: 'cancelled' });
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 10_000);
});

test('a command that takes too long is stopped', async () => {
  using shop = workshop();
  const failure = runCommand('sleep', ['600'], { logFile: join(shop.root, 'log'), env: shop.env, timeoutMs: 50 });
  await expect(failure).rejects.toMatchObject({ code: 'timeout' });
});

/** A process that ended but was not yet collected by its parent counts as ended. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return process.platform !== 'linux' || !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
