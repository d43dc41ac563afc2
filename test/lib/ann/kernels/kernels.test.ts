import { describe, expect, it } from 'vitest';
import { Kernels } from '../../../../lib/ann/kernels/kernels.ts';

describe('the memory of an index', () => {
  it('takes a size that a kernel tells as unsigned, and refuses what no memory holds with nothing taken', () => {
    const kernels = new Kernels();
    const data = kernels.place(Float32Array.of(1, 2, 3));
    const used = kernels.usedBytes;
    // As JavaScript reads 4 GiB less 64 bytes from an i32.
    expect(() => kernels.allocate(-64)).toThrow('at most 4 GiB');
    expect(kernels.usedBytes).toBe(used);
    expect(kernels.allocate(4)).toBe(used);
    expect([...kernels.f32(data, 3)]).toEqual([1, 2, 3]);
  });

  it('takes scratch kept over pauses in turn, and gives it back when a use fails', async () => {
    const kernels = new Kernels();
    const used = kernels.usedBytes;
    const failing = kernels.longScratch(async () => {
      kernels.allocate(1000);
      await Promise.resolve();
      throw new Error('stopped');
    });
    const next = kernels.longScratch(() => Promise.resolve(kernels.allocate(64)));
    await expect(failing).rejects.toThrow('stopped');
    expect(await next).toBe(used);
    expect(kernels.usedBytes).toBe(used);
  });
});
