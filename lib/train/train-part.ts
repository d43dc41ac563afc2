import { LookalikeError } from '../../contracts/errors.ts';
import type { TrainConfig } from '../../contracts/training.ts';
import type { Tf } from '../nn/tf.ts';
import { receiveExpected } from '../pipeline/link.ts';
import type { Link } from '../pipeline/link.ts';
import { sendState } from '../pipeline/state-transfer.ts';
import type { ShardSeed } from '../sync/protocol.ts';
import type { BatchPlan } from './batch-plan.ts';
import { leadLink } from './model-parallel-plan.ts';
import type { ModelParallelPlan } from './model-parallel-plan.ts';
import { createPartWorker } from './part-worker.ts';
import type { PartWorker } from './part-worker.ts';
import { groupOf, groupsOf } from './part-state.ts';
import { judgedSegments } from './pipeline-lead.ts';
import type { PipelineLead } from './pipeline-lead.ts';
import type { StepReport, TrainHooks } from './train-head.ts';

export interface TrainPartOptions extends Pick<TrainHooks, 'signal'> {
  tf: Tf;
  config: TrainConfig;
  plan: ModelParallelPlan;
  index: number;
  batches: BatchPlan;
  /** Of this part, all parts at one step; taken over. */
  from: ShardSeed;
  link: (name: string) => Link;
  /** Of the first stage, and of no other. */
  lead?: PipelineLead;
  inputsAt?: (step: number) => Float32Array;
  /** Awaited after each step: the place to let other work of the process in. The loss is known to the lead and the last stage. */
  onStep?: (report: Omit<StepReport, 'loss'> & { loss: number | null }) => Promise<void> | void;
}

/**
 * Takes all steps of a run with one part of its model, in step with the other parts; what is learnt is what `trainHead` learns. The
 * first stage leads (`PipelineLead`). Returns when the run is over.
 * @throws LookalikeError `cancelled`; `nonFinite` before this part's update; `conflict` | `unavailable` when a part was lost: then
 * all parts start again from one checkpoint
 */
export async function trainPart(options: TrainPartOptions): Promise<void> {
  const { tf, config, plan, index, batches, from, lead, link, signal, onStep } = options;
  const { stepsPerEpoch, numSteps } = batches;
  const { kind, momentum, weightDecay } = config.optimizer;
  const optimizer = { kind, momentum, weightDecay };
  const worker = createPartWorker({ tf, plan, index, optimizer, from, link });
  const follower = lead === undefined ? new Follower(options, link(leadLink(index)), worker) : null;
  try {
    for (let step = from.step; step < numSteps; step++) {
      if (signal?.aborted) {
        throw new LookalikeError('cancelled', `Training was cancelled at step ${step} of ${numSteps}.`);
      }
      if (step % stepsPerEpoch === 0 && !(await (lead ?? follower!).decide(step))) return;
      const learningRate = batches.learningRateAt(step);
      const { labels } = batches.at(step);
      const inputs = options.inputsAt?.(step);
      const seen = await worker.runStep({ labels, learningRate, ...(inputs && { inputs }) });
      if (follower !== null && seen !== null) await follower.tellLoss(step, seen);
      const loss = seen ?? (lead ? await lead.lossOf(step) : null);

      const done = step + 1;
      if (done % stepsPerEpoch === 0) await (lead ? lead.judge(done, worker.read()) : follower!.judge(done));
      if (done % config.checkpointEverySteps === 0 && done < numSteps) {
        await (lead ? lead.checkpoint(done, worker.read()) : follower!.checkpoint(done));
      }
      const recallByEpoch = lead?.recallByEpoch ?? [];
      const epoch = Math.floor(step / stepsPerEpoch);
      await onStep?.({ epoch, step: done, numSteps, loss, learningRate, recallByEpoch });
    }
  } finally {
    worker.dispose();
  }
}

/** The other end of `PipelineLead`. */
class Follower {
  readonly #options: TrainPartOptions;
  readonly #lead: Link;
  readonly #worker: PartWorker;

  constructor(options: TrainPartOptions, lead: Link, worker: PartWorker) {
    this.#options = options;
    this.#lead = lead;
    this.#worker = worker;
  }

  async decide(step: number): Promise<boolean> {
    const [goesOn] = await receiveExpected(this.#lead, { kind: 'verdict', step, microBatch: 0, shape: [1] });
    return goesOn === 1;
  }

  tellLoss(step: number, loss: number): Promise<void> {
    return this.#lead.send({ kind: 'loss', step, microBatch: 0, shape: [1], values: Float32Array.of(loss) });
  }

  async judge(step: number): Promise<void> {
    const { segments } = this.#options.plan.parts[this.#options.index]!;
    // Layers come before the loss, in a part as in the model.
    const length = judgedSegments(segments).reduce((sum, { start, end }) => sum + end - start, 0);
    await sendState(this.#lead, step, this.#worker.read().values.subarray(0, length));
  }

  async checkpoint(step: number): Promise<void> {
    for (const group of groupsOf(this.#options.config.optimizer.kind)) {
      await sendState(this.#lead, step, groupOf(this.#worker.read(), group));
    }
  }
}
