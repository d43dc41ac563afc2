import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { CurveRecorder } from '../../../../infra/bench/train/curve-recorder.ts';
import {
  catalogueLearningData,
  drawnLearningData,
  readLearningData,
  writeLearningData,
} from '../../../../infra/bench/train/learning-data.ts';
import {
  LEARNING_HEADING,
  learningCells,
  learningSettingLines,
  writeLearningReport,
} from '../../../../infra/bench/train/learning-report.ts';
import { runLearningBench, TARGET_SHARE } from '../../../../infra/bench/train/run-learning-bench.ts';
import type { LearningBenchResult } from '../../../../infra/bench/train/run-learning-bench.ts';
import { loadConfig } from '../../../../infra/config/env.ts';
import { runTraining } from '../../../../infra/training/run-training.ts';
import { temporaryFolder } from '../../artifacts/temporary-folder.ts';
import { openWorkshop, TRAIN } from '../../training/workshop.ts';

const SHAPE = { features: 48, labels: 16, seed: 1 };
const EPOCHS = 6;

describe('what is learnt in every mode and compression', () => {
  let result: LearningBenchResult;
  const seen: number[] = [];
  const rowOf = (name: string) => result.rows.find((row) => row.name === name)!;
  const recallsOf = (name: string) => rowOf(name).epochs.map(({ recall }) => recall);

  beforeAll(async () => {
    result = await runLearningBench(
      loadConfig(),
      {
        name: 'Drawn',
        data: drawnLearningData(SHAPE),
        // Without dropout, which is drawn for each slice by itself, slices add up to the whole batch.
        train: { ...TRAIN, dim: 8, epochs: EPOCHS, labelsPerBatch: 8, featureDropout: 0, checkpointEverySteps: 1_000 },
        replicas: [2],
        shards: 1,
      },
      { signal: new AbortController().signal, progress: (done, total) => seen.push(done / total) },
    );
    // Some thirty processes, each of which loads TensorFlow.
  }, 300_000);

  test('all of them learn, over as many epochs', () => {
    const ways = ['sync', 'ring', 'ssp of 2', 'async', 'sync, fp16', 'ring, fp16', 'sync, top 1 %', 'sync, 1 bit'];
    expect(result.rows.map(({ name }) => name)).toEqual(['single', ...ways]);
    for (const { name, epochs, lossByEpoch } of result.rows) {
      expect(epochs, name).toHaveLength(EPOCHS);
      expect(lossByEpoch, name).toHaveLength(EPOCHS);
      expect(lossByEpoch.at(-1), name).toBeLessThan(lossByEpoch[0]!);
      const times = epochs.map(({ seconds }) => seconds);
      expect(times, name).toEqual([...times].sort((a, b) => a - b));
    }
    expect(seen.at(-1)).toBe(1);
  });

  test('in step, replicas learn what one process does, by a server and by a ring', () => {
    expect(recallsOf('sync')).toEqual(recallsOf('single'));
    expect(recallsOf('ring')).toEqual(recallsOf('single'));
  });

  test('the target is nearly the best of one process, and the first epoch that reaches it counts', () => {
    const best = Math.max(...recallsOf('single'));
    expect(result.target).toBe(TARGET_SHARE * best);
    const { epochs, toTarget } = rowOf('single');
    const first = epochs.find(({ recall }) => recall >= result.target)!;
    expect(toTarget).toEqual({ step: first.step, seconds: first.seconds });
  });

  test('its report holds the figures and drawings of losses and recalls', async () => {
    const folder = temporaryFolder();
    const files = await writeLearningReport(result, folder);
    const names = ['learning.json', 'learning-loss.svg', 'learning-loss.png', 'learning-recall.svg'];
    expect(files).toEqual([...names, 'learning-recall.png'].map((name) => join(folder, name)));
    expect(files.every((file) => existsSync(file))).toBe(true);
    expect(learningCells(result.rows).every((cells) => cells.length === LEARNING_HEADING.length)).toBe(true);
    expect(learningSettingLines(result).join('\n')).toMatch(/Drawn: 128 pictures, 16 queries; head of 8 dimensions/);
  });
});

describe('what a learning is measured on', () => {
  test('is the same for every process', async () => {
    const path = join(temporaryFolder(), 'data');
    const data = drawnLearningData(SHAPE);
    await writeLearningData(path, data);
    expect(await readLearningData(path)).toEqual(data);
    expect(drawnLearningData(SHAPE)).toEqual(data);
  });

  test('is what the model that serves a catalogue was trained on', async () => {
    const { config, stores, input } = await openWorkshop(temporaryFolder(), TRAIN, 'cpu');
    onTestFinished(() => stores.close());
    const { catalogue, snapshot } = input;
    await expect(catalogueLearningData(stores, catalogue)).rejects.toMatchObject({ code: 'notFound' });
    const output = await runTraining({ config, input });
    const { generations } = stores.registry;
    const workflow = { workflowId: 'retrain/emoji', workflowRunId: 'run' };
    const { number } = await generations.create({ catalogue, snapshot, ...workflow });
    const { id: index } = await stores.artifacts.publish({
      ...{ kind: 'index', inputs: { shard0: snapshot }, config: {}, seed: null, summary: {}, metrics: {}, files: {} },
    });
    await generations.update(catalogue, number, { model: output.model, index });
    await generations.switchTo(catalogue, number);
    const { numLabels, labels, queryLabels } = await catalogueLearningData(stores, catalogue);
    expect([numLabels, labels.length, queryLabels.length]).toEqual([12, 12, 12]);
  });
});

test('a curve tells when an epoch was first known to be over, and with which recall', () => {
  const recorder = new CurveRecorder();
  recorder.step({ step: 1, loss: 3, recallByEpoch: [] });
  recorder.step({ step: 2, loss: 2, recallByEpoch: [] });
  recorder.step({ step: 3, loss: 1, recallByEpoch: [0.5] });
  recorder.end(4, [0.5, 0.75]);
  expect(recorder.curve.lossByStep).toEqual([3, 2, 1]);
  expect(recorder.curve.epochs).toMatchObject([
    { step: 3, recall: 0.5 },
    { step: 4, recall: 0.75 },
  ]);
});
