import * as tf from '@tensorflow/tfjs';
import type { ModelParallelConfig, TrainConfig } from '../../../contracts/training.ts';
import { sizeOf } from '../../../lib/pipeline/layers/layer.ts';
import type { Link } from '../../../lib/pipeline/link.ts';
import { HeadProgram } from '../../../lib/train/head-program.ts';
import type { TrainedHead } from '../../../lib/train/head-program.ts';
import { linksOf, modelParallelPlanOf } from '../../../lib/train/model-parallel-plan.ts';
import { partStateOf } from '../../../lib/train/part-state.ts';
import type { StateReader } from '../../../lib/train/part-state.ts';
import { PipelineLead } from '../../../lib/train/pipeline-lead.ts';
import { parameterShapes } from '../../../lib/train/head-model.ts';
import { trainPart } from '../../../lib/train/train-part.ts';
import type { TrainPartOptions } from '../../../lib/train/train-part.ts';
import type { TrainState } from '../../../lib/train/train-state.ts';
import { linkPair } from '../pipeline/memory-link.ts';
import { CONFIG, noisyClusters } from './noisy-clusters.ts';

export const data = noisyClusters();
export const TWO_STAGES: ModelParallelConfig = {
  stages: 2,
  cut: 'auto',
  microBatches: 4,
  schedule: '1f1b',
  classifierParts: 1,
};

export function cutUp(change: Partial<ModelParallelConfig> = {}, train: Partial<TrainConfig> = {}): TrainConfig {
  return { ...CONFIG, ...train, strategy: 'modelParallel', modelParallel: { ...TWO_STAGES, ...change } };
}

export interface PartsOptions {
  from?: TrainState;
  onCheckpoint?: (state: TrainState) => void;
  onStep?: (index: number, report: Parameters<NonNullable<TrainPartOptions['onStep']>>[0]) => void;
  wrap?: (link: Link, name: string) => Link;
}

/** A whole run by all parts of a model in one process, over links in memory. */
export async function trainParts(config: TrainConfig, options: PartsOptions = {}): Promise<TrainedHead> {
  const { from, onCheckpoint, onStep, wrap = (link) => link } = options;
  const program = new HeadProgram(tf, data, config);
  const { shape, batches } = program;
  const plan = modelParallelPlanOf(config, shape, batches.numRows);
  const links = new Map(
    linksOf(plan).map(({ name, host, client }) => {
      const [ofHost, ofClient] = linkPair().ends;
      return [name, new Map([[host, wrap(ofHost, name)] as const, [client, wrap(ofClient, name)] as const])] as const;
    }),
  );
  const linkOf =
    (index: number) =>
    (name: string): Link =>
      links.get(name)!.get(index)!;
  const lead = new PipelineLead({
    ...{ program, plan, from, link: linkOf(0) },
    async onCheckpoint(heading, fill) {
      const shapes = parameterShapes(config.loss, shape);
      const empty = (): Record<string, Float32Array> =>
        Object.fromEntries(shapes.map((each) => [each.name, new Float32Array(sizeOf(each.shape))]));
      const groups = { value: empty(), first: empty(), second: empty() };
      await fill((group, name, start, values) => {
        groups[group][name]!.set(values, start);
        return Promise.resolve();
      });
      const { value, first, second } = groups;
      onCheckpoint?.(structuredClone({ ...heading, values: value, firstMoments: first, secondMoments: second }));
    },
  });
  try {
    await Promise.all(
      plan.parts.map(async ({ index, segments }) =>
        trainPart({
          ...{ tf, config, plan, index, batches, link: linkOf(index) },
          from: await partStateOf(segments, { config, shape }, from === undefined ? null : readerOf(from)),
          ...(index === 0 && { lead, inputsAt: (step: number) => program.inputsAt(step) }),
          onStep: (report) => onStep?.(index, report),
        }),
      ),
    );
    return lead.finish();
  } finally {
    lead.dispose();
  }
}

export function readerOf(state: TrainState): StateReader {
  const groups = { value: state.values, first: state.firstMoments, second: state.secondMoments };
  return {
    step: state.step,
    read(group, name, start, into) {
      into.set(groups[group][name]!.subarray(start, start + into.length));
      return Promise.resolve();
    },
  };
}
