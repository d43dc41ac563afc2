import { expect, test } from 'vitest';
import { withThreads } from '../../../infra/ann/with-threads.ts';
import { Kernels } from '../../../lib/ann/kernels/kernels.ts';

test('threads are lent until the work on many rows has ended, and none for few', async () => {
  const kernels = new Kernels();
  const at = kernels.place(Float32Array.of(3));
  const sums = await withThreads(10_000, async ({ threads }) => {
    const runs: number[][] = [];
    for (let i = 0; i < 5; i++)
      runs.push((await threads?.run(kernels.memory, [{ name: 'dot', args: [at, at, 1] }])) ?? [9]);
    return runs.flat();
  });
  expect(sums).toEqual([9, 9, 9, 9, 9]);
  expect(await withThreads(10, ({ threads }) => Promise.resolve(threads))).toBeUndefined();
});
