/** Prints the process ids of its stages once they train, and trains on. */
import type { StageConfig } from '../../../infra/pipeline/protocol.ts';
import { runPipeline } from '../../../infra/pipeline/run-pipeline.ts';

let pids: number[] = [];
await runPipeline({
  config: { backend: 'cpu', cacheDir: '/nowhere', dataPlane: { token: 'a secret of this test' } } as StageConfig,
  job: {
    model: { kind: 'fullyConnected', inputDim: 20, width: 16, depth: 3, numLabels: 4 },
    firstLayers: ['hidden2', 'relu3'],
    pipeline: { schedule: 'gpipe', numStages: 3, numMicroBatches: 3 },
    optimizer: { kind: 'sgd', momentum: 0.9, weightDecay: 0 },
    learningRate: 0.001,
    numRows: 10,
    numSteps: 1_000_000,
    seed: 1,
  },
  run: 'endless',
  onStart: (started) => (pids = started),
  onStep: (step) => step === 3 && process.stdout.write(`${pids.join(' ')}\n`),
});
