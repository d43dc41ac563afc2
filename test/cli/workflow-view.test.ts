import { describe, expect, it } from 'vitest';
import { describeRun } from '../../cli/workflow-view.ts';
import type { RunView } from '../../cli/workflow-view.ts';
import type { LiveTraining, TrainingPart } from '../../contracts/data-parallel.ts';

const part: TrainingPart = {
  role: 'replica',
  index: 0,
  host: 'trainer-1',
  attempt: 2,
  holds: null,
  step: 40,
  loss: 0.12345,
  bytesPerStep: 81_234,
  staleness: [30, 10],
  note: 'The process was killed.',
};
const training: LiveTraining = {
  ...{ epoch: 1, numEpochs: 5, step: 40, numSteps: 200, loss: 0.5, learningRate: 0.1, recallByEpoch: [0.7] },
  ...{ samplesPerSecond: 1000, backend: 'node', checkpoint: null },
  parts: [
    part,
    { ...part, role: 'parameters', host: null, attempt: 1, loss: null, bytesPerStep: null, staleness: [], note: null },
  ],
};
const view: RunView = {
  ...{ workflowId: 'retrain/shop/train', runId: 'r', status: 'RUNNING', startTime: 'then', closeTime: null },
  ...{ url: 'http://ui', steps: null, training, serving: null, tune: null, result: null, failure: null },
};

describe('a spread training', () => {
  it('is shown part by part: where it is, how far, and what became of it', () => {
    const lines = describeRun(view)
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/));
    expect(lines).toContainEqual(['replica 0 (leads)', 'trainer-1', '2', '40', '0.1235', '0.25', '81.2', part.note]);
    expect(lines).toContainEqual(['shard 0', '-', '1', '40', '-', '-', '-', '-']);
  });

  it('of a model that is cut says what each part holds', () => {
    const stage: TrainingPart = { ...part, role: 'stage', holds: 'projection, embedding', staleness: [], note: null };
    const parts = [stage, { ...stage, index: 1, loss: null, holds: 'labels 0 to 9' }];
    const lines = describeRun({ ...view, training: { ...training, parts } })
      .split('\n')
      .map((line) => line.trim().split(/ {2,}/));
    expect(lines).toContainEqual(['PART', 'HOST', 'START', 'STEP', 'LOSS', 'HOLDS', 'KB/STEP', 'NOTE']);
    expect(lines).toContainEqual(['stage 0 (leads)', 'trainer-1', '2', '40', '0.1235', stage.holds, '81.2', '-']);
    expect(lines).toContainEqual(['stage 1', 'trainer-1', '2', '40', '-', 'labels 0 to 9', '81.2', '-']);
  });

  it('of one process is shown as one line', () => {
    const { parts: _, ...single } = training;
    expect(describeRun({ ...view, training: single })).not.toContain('PART');
  });
});
