import type { Tf } from '../nn/tf.ts';
import type { Link } from '../pipeline/link.ts';
import { ClassifierMember, ClassifierRoot } from '../pipeline/split-classifier.ts';
import { PipelineStage } from '../pipeline/stage.ts';
import type { OptimizerConfig, ShardSeed } from '../sync/protocol.ts';
import { blockLink, stageLink } from './model-parallel-plan.ts';
import type { ModelParallelPlan } from './model-parallel-plan.ts';

/** One part of the model in training: every part takes each step, with its neighbours. */
export interface PartWorker {
  /** @returns the loss over the whole batch where this part sees it. @throws as a pipeline's stage */
  runStep(batch: {
    labels: Int32Array;
    /** [B, F], of the first stage. */
    inputs?: Float32Array;
    learningRate: number;
  }): Promise<number | null>;
  /** Its parameters and moments: a view, valid until the next step. */
  read(): Readonly<ShardSeed>;
  dispose(): void;
}

export interface PartWorkerOptions {
  tf: Tf;
  plan: ModelParallelPlan;
  index: number;
  optimizer: OptimizerConfig;
  /** Taken over. */
  from: ShardSeed;
  /** By `linksOf`'s names. */
  link: (name: string) => Link;
}

export function createPartWorker({ tf, plan, index, optimizer, from, link }: PartWorkerOptions): PartWorker {
  const { pipeline, parts } = plan;
  const { layers, block } = parts[index]!;
  const { numStages, numMicroBatches } = pipeline;
  if (layers !== null) {
    const stage = new PipelineStage({
      ...{ tf, part: layers, inputShape: layers.inputShape, stage: index, pipeline, optimizer, from },
      previous: index === 0 ? null : link(stageLink(index)),
      next: index === numStages - 1 ? null : link(stageLink(index + 1)),
    });
    return {
      runStep: (batch) => stage.runStep({ ...batch, numRows: batch.labels.length }),
      read: () => stage.read(),
      dispose: () => stage.dispose(),
    };
  }
  const options = { tf, block: block!, numMicroBatches, optimizer, from };
  if (index < numStages) {
    const members = parts.slice(numStages).map((part) => link(blockLink(part.index)));
    return new ClassifierRoot(options, link(stageLink(index)), members);
  }
  const member = new ClassifierMember(options, link(blockLink(index)));
  return {
    async runStep(batch) {
      await member.runStep(batch);
      return null;
    },
    read: () => member.read(),
    dispose: () => member.dispose(),
  };
}
