import { expect, test } from 'vitest';
import { startKernelThreads } from '../../../infra/ann/kernel-threads.ts';
import { Kernels } from '../../../lib/ann/kernels/kernels.ts';

test('threads run kernels on the rows that the caller placed, each call once, answers in order', async () => {
  await using threads = startKernelThreads(2);
  const kernels = new Kernels();
  const rows = Array.from({ length: 50 }, (_, i) => kernels.place(Float32Array.of(i, 1, 2, 3, 4)));
  const query = kernels.place(Float32Array.of(2, 1, 0, 0, 0));
  const calls = rows.map((row) => ({ name: 'dot', args: [query, row, 5] }));
  expect(await threads.run(kernels.memory, calls)).toEqual(rows.map((_, i) => 2 * i + 1));
  // The memory grows while threads hold it.
  const far = kernels.allocate(10_000_000) + 9_000_000;
  kernels.f32(far, 5).set([7, 7, 7, 7, 7]);
  expect(await threads.run(kernels.memory, [{ name: 'dot', args: [query, far, 5] }])).toEqual([21]);
});

test('an unknown kernel and a fault in one fail the run, and the threads go on', async () => {
  await using threads = startKernelThreads(1);
  const kernels = new Kernels();
  const at = kernels.place(Float32Array.of(3));
  await expect(threads.run(kernels.memory, [{ name: 'none', args: [] }])).rejects.toThrow('no kernel none');
  await expect(threads.run(kernels.memory, [{ name: 'dot', args: [at, 0x7ffffff0, 99] }])).rejects.toThrow('memory');
  expect(await threads.run(kernels.memory, [{ name: 'dot', args: [at, at, 1] }])).toEqual([9]);
});

test('an aborted run is told as cancelled after what had begun has ended', async () => {
  await using threads = startKernelThreads(1);
  const kernels = new Kernels();
  const at = kernels.place(Float32Array.of(3));
  const stop = new AbortController();
  const calls = Array.from({ length: 1000 }, () => ({ name: 'dot', args: [at, at, 1] }));
  const run = threads.run(kernels.memory, calls, stop.signal);
  stop.abort();
  await expect(run).rejects.toMatchObject({ code: 'cancelled' });
  expect(await threads.run(kernels.memory, calls.slice(0, 2))).toEqual([9, 9]);
});
