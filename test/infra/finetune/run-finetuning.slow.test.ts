import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { FinetuneConfig, FinetuneProgress } from '../../../contracts/finetune.ts';
import { activationsFolder } from '../../../infra/finetune/finetune-data.ts';
import { runFinetuning } from '../../../infra/finetune/run-finetuning.ts';
import { modelSummaryOf } from '../../../infra/models/model-summary.ts';
import { decodeModel } from '../../../lib/export/onnx-proto.ts';
import { temporaryFolder } from '../artifacts/temporary-folder.ts';
import { trainersOf } from '../training/workshop.ts';
import { FINETUNE, openFinetuneWorkshop } from './workshop.ts';
import type { FinetuneWorkshop } from './workshop.ts';

async function open(config: FinetuneConfig, holdout = true): Promise<FinetuneWorkshop> {
  const workshop = await openFinetuneWorkshop(temporaryFolder(), config, { holdout });
  onTestFinished(() => workshop.stores.close());
  return workshop;
}

/** Names of the weights that two backbones do not share. */
async function changedWeights({ stores }: FinetuneWorkshop, one: string, other: string): Promise<string[]> {
  const [a, b] = await Promise.all(
    [one, other].map(async (id) =>
      decodeModel(await readFile(await stores.artifacts.materialise(id, 'backbone.onnx'))),
    ),
  );
  const before = new Map(a!.graph.initializer.map(({ name, raw_data }) => [name, Buffer.from(raw_data!)]));
  return b!.graph.initializer
    .filter(({ name, raw_data }) => !before.get(name)!.equals(Buffer.from(raw_data!)))
    .map(({ name }) => name);
}

describe('fine-tuning in a process of its own', () => {
  it('publishes a backbone that names what it was made from, moved only where it may, and is found the second time', async () => {
    const workshop = await open(FINETUNE);
    const { config, input, stores } = workshop;
    const frames: FinetuneProgress[] = [];
    const first = await runFinetuning({ config, input, onProgress: (progress) => frames.push(progress) });
    expect(first).toMatchObject({ reused: false, metrics: { numLabels: 12, numPictures: 12 } });
    const made = await stores.artifacts.get(first.backbone);
    expect(made.manifest.inputs).toEqual({ snapshot: input.snapshot, backbone: input.backbone });
    expect(made.manifest.seed).toBe(FINETUNE.seed);
    expect(modelSummaryOf(made)).toMatchObject({ stage: 'backbone', backbone: null, preprocessing: { size: 64 } });
    expect(await changedWeights(workshop, input.backbone, first.backbone)).toEqual([
      'head_conv/kernel',
      'head_conv/bias',
    ]);
    const last = frames.at(-1)!;
    expect(last).toMatchObject({ step: last.numSteps, prepared: 36, toPrepare: 36 });
    expect(last.recallByEpoch).toHaveLength(FINETUNE.epochs);
    expect(frames.some(({ step, prepared }) => step === 0 && prepared > 0)).toBe(true);
    expect(readdirSync(activationsFolder(config))).toEqual([]);

    const again = await runFinetuning({ config, input, onProgress: () => expect.unreachable('nothing to train') });
    expect(again).toEqual({ ...first, reused: true });
  });

  it('goes on from its checkpoint when it was killed, and ends in the backbone of an uninterrupted run', async () => {
    const long = { ...FINETUNE, epochs: 12 };
    const workshop = await open(long);
    let killed = false;
    const error = await runFinetuning({
      config: workshop.config,
      input: workshop.input,
      onProgress({ checkpoint }) {
        if (checkpoint === null || killed) return;
        killed = true;
        for (const pid of trainersOf(process.pid, 'finetune-process')) process.kill(pid, 'SIGKILL');
      },
    }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'unavailable', retryable: true });
    expect(existsSync(activationsFolder(workshop.config))).toBe(true);

    let firstStep = 0;
    const { config, input } = workshop;
    const resumed = await runFinetuning({ config, input, onProgress: ({ step }) => (firstStep ||= step) });
    expect(firstStep).toBeGreaterThan(long.checkpointEverySteps);
    const other = await open(long);
    const whole = await runFinetuning({ config: other.config, input: other.input });
    expect(resumed.backbone).toBe(whole.backbone);
  });

  it('stops when it is cancelled, leaving no process', async () => {
    const { config, input } = await open({ ...FINETUNE, epochs: 1000 });
    const abort = new AbortController();
    const run = runFinetuning({
      config,
      input,
      signal: abort.signal,
      onProgress: ({ step }) => void (step > 1 && abort.abort()),
    });
    await expect(run).rejects.toMatchObject({ code: 'cancelled' });
    expect(trainersOf(process.pid, 'finetune-process')).toEqual([]);
  });

  it('never learns from what judges: without holdout examples the items held out stay out', async () => {
    const { config, input } = await open(FINETUNE, false);
    const { metrics } = await runFinetuning({ config, input });
    expect(metrics['numPictures']).toBeLessThan(24);
  });

  it('refuses a network of another kind', async () => {
    const { config, input, stores } = await open(FINETUNE);
    const base = await stores.artifacts.get(input.backbone);
    const graph = decodeModel(await readFile(await stores.artifacts.materialise(base.id, 'backbone.onnx')));
    const { encodeModel } = await import('../../../lib/export/onnx-proto.ts');
    graph.graph.initializer = graph.graph.initializer.filter(({ name }) => name !== 'block3_depthwise_conv/kernel');
    const { manifest } = base;
    const other = await stores.artifacts.publish({
      ...{ kind: 'model', inputs: {}, config: { name: 'other' }, seed: null, metrics: {} },
      summary: manifest.summary,
      files: { 'backbone.onnx': { bytes: encodeModel(graph) } },
    });
    const run = runFinetuning({ config, input: { ...input, backbone: other.id } });
    await expect(run).rejects.toMatchObject({
      code: 'invalidInput',
      message: expect.stringMatching(/block3_depthwise/) as string,
    });
  });
});
