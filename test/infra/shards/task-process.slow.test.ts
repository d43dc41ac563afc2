import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { runTaskProcess } from '../../../infra/shards/heavy-task.ts';

const TASK = '../../test/infra/shards/waiting-task';
const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('a task in a process of its own', () => {
  it('answers with what it made, and is gone then', async () => {
    let pid = 0;
    const input = { then: 'answer', values: Float32Array.of(1, 2.5) };
    const made = await runTaskProcess(TASK, input, undefined, (told) => (pid = told));
    expect(made).toEqual(Float32Array.of(2, 5));
    await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 });
  });

  it('fails as the task did, and when it ended without a word', async () => {
    const values = new Float32Array(1);
    await expect(runTaskProcess(TASK, { then: 'fail', values })).rejects.toMatchObject({
      ...{ code: 'conflict', details: { got: 1 } },
    });
    await expect(runTaskProcess(TASK, { then: 'end', values })).rejects.toThrow(/ended with code 7 before it answered/);
  });

  it('ends when it is asked to, wherever it is', async () => {
    const controller = new AbortController();
    let pid = 0;
    const running = runTaskProcess(TASK, { then: 'wait', values: new Float32Array(1) }, controller.signal, (told) => {
      pid = told;
      controller.abort();
    });
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 });
  });

  it('ends with the process that started it, even one that is killed', async () => {
    const entry = fileURLToPath(new URL('./waiting-parent.ts', import.meta.url));
    const parent = spawn(process.execPath, [entry], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [told] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(told.toString());
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 });
  });
});
