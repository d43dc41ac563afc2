import { expect, test } from 'vitest';
import { startBlockProduct } from '../../../infra/ann/block-product.ts';
import { Kernels } from '../../../lib/ann/kernels/kernels.ts';

test('threads that are closed while the runtime still loads in them end quietly, again and again', async () => {
  for (let i = 0; i < 3; i++) await startBlockProduct(2)[Symbol.asyncDispose]();
});

test('what was asked before the close is still done, and nothing after it', async () => {
  const product = startBlockProduct(1);
  const kernels = new Kernels();
  const rows = kernels.place(Float32Array.of(1, 2, 3, 4));
  const queries = kernels.place(Float32Array.of(10, 1));
  const out = kernels.allocate(8);
  const then = { name: 'heapSort' as const, args: [out, out, 0] };
  const step = { rows, numRows: 2, queries, numQueries: 1, out, then };
  const asked = product.run(kernels.memory, 2, [step]);
  const closed = product[Symbol.asyncDispose]();
  await asked;
  expect([...kernels.f32(out, 2)]).toEqual([12, 34]);
  await closed;
  await expect(product.run(kernels.memory, 2, [step])).rejects.toMatchObject({ code: 'cancelled' });
});

test('products of bytes are exact at the ends of their ranges', async () => {
  await using product = startBlockProduct(1);
  const kernels = new Kernels();
  const dim = 515;
  for (const [row, query] of [
    [255, 64],
    [255, -64],
    [1, 64],
    [1, -64],
  ] as const) {
    const rows = kernels.place(new Uint8Array(3 * dim).fill(row));
    const queries = kernels.place(new Int8Array(dim * 16).fill(query));
    const out = kernels.allocate(3 * 16 * 4);
    const then = { name: 'heapSort', args: [out, out, 0] };
    await product.run(kernels.memory, dim, [{ format: 'bytes', rows, numRows: 3, queries, numQueries: 16, out, then }]);
    expect([...kernels.i32(out, 48)]).toEqual(Array(48).fill((row - 128) * query * dim));
  }
});
