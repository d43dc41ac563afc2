import { describe, expect, it } from 'vitest';
import { cutByHand } from '../../../lib/pipeline/cut.ts';
import type { Cut, CutOptions } from '../../../lib/pipeline/cut.ts';
import type { Model } from '../../../lib/pipeline/model.ts';
import { convnet, fullyConnected } from '../../../lib/pipeline/models.ts';
import { crossoverRows, dataParallelTraffic, pipelineTraffic } from '../../../lib/pipeline/traffic.ts';

const SERVER = { kind: 'parameterServer', shards: 2 } as const;
const RING = { kind: 'allReduce' } as const;
const wide = fullyConnected({ inputDim: 1024, width: 1024, depth: 3, numLabels: 10 });

function cutAt(model: Model, firstLayers: string[]): Cut {
  const options: CutOptions = {
    pipeline: { schedule: 'gpipe', numStages: firstLayers.length + 1, numMicroBatches: 4 },
    microBatchRows: 8,
    numMoments: 1,
    machine: { flopsPerSecond: 1, bytesPerSecond: 1, memoryBytes: Infinity },
  };
  return cutByHand(model, firstLayers, options);
}

describe('dataParallelTraffic', () => {
  it('is two times the parameters per worker through servers, and 2 (n - 1) times in a ring', () => {
    expect(dataParallelTraffic(convnet(), 2, SERVER)).toEqual({ bytes: 2 * 2 * 226_856, messages: 8 });
    expect(dataParallelTraffic(convnet(), 2, RING).bytes).toBe(453_712);
    expect(dataParallelTraffic(convnet(), 4, RING)).toEqual({ bytes: 1_361_136, messages: 24 });
  });
});

describe('pipelineTraffic', () => {
  it('is activations and their gradients over each cut', () => {
    const batch = { numRows: 32, numMicroBatches: 4 };
    expect(pipelineTraffic(cutAt(convnet(), ['flatten']), batch)).toEqual({ bytes: 2 * 32 * 800 * 4, messages: 8 });
    const two = pipelineTraffic(cutAt(convnet(), ['conv2', 'flatten']), batch);
    expect(two).toEqual({ bytes: 2 * 32 * (2704 + 800) * 4, messages: 16 });
  });
});

describe('crossoverRows', () => {
  it('is where both move the same number of bytes', () => {
    for (const [model, layer] of [
      [convnet(), 'conv2'],
      [wide, 'hidden2'],
    ] as const) {
      const cut = cutAt(model, [layer]);
      const rows = crossoverRows(model, cut, 2, SERVER);
      const pipeline = pipelineTraffic(cut, { numRows: rows, numMicroBatches: 4 }).bytes;
      expect(pipeline).toBeCloseTo(dataParallelTraffic(model, 2, SERVER).bytes, 3);
    }
  });

  it('lies far above any batch where layers are fully connected, and within common batches where they convolve', () => {
    // 907,424 bytes through servers; 21,632 bytes a row between the convolutions.
    expect(crossoverRows(convnet(), cutAt(convnet(), ['conv2']), 2, SERVER)).toBeCloseTo(41.95, 2);
    expect(crossoverRows(wide, cutAt(wide, ['hidden2']), 2, SERVER)).toBeGreaterThan(6000);
  });
});
