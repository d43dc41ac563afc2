import { beforeAll, describe, expect, it } from 'vitest';
import { BLOCKS, buildEfficientNetLite0 } from '../../../lib/nn/efficientnet-lite0.ts';
import type { Tf } from '../../../lib/nn/tf.ts';
import { plainTf } from '../export/tfjs.ts';

let tf: Tf;
beforeAll(async () => {
  tf = await plainTf();
});

describe('EfficientNet-Lite0', () => {
  it('has the blocks of the published table and hands widths on from block to block', () => {
    expect(BLOCKS.length).toBe(16);
    BLOCKS.slice(1).forEach((block, i) => expect(block.in).toBe(BLOCKS[i]!.out));
    expect(BLOCKS.reduce((stride, block) => stride * block.stride, 2)).toBe(32);
  });

  it('has 3.41 million parameters before its classifier and gives 1280 features', () => {
    const model = buildEfficientNetLite0(tf);
    // The authors state 4.7 million (4,652,008 trainable) with the classifier of 1280 x 1000 + 1000.
    const trainable = model.trainableWeights.reduce(
      (sum, weight) => sum + weight.shape.reduce((a, b) => a! * b!, 1)!,
      0,
    );
    expect(trainable).toBe(4_652_008 - 1_281_000);
    expect(model.outputs[0]!.shape).toEqual([null, 1280]);
    model.dispose();
  });
});
