import { LookalikeError } from '../../contracts/errors.ts';
import type { FinetuneConfig } from '../../contracts/finetune.ts';
import type { StepReport, TrainHooks } from '../train/train-head.ts';
import { adamStep } from './adam.ts';
import type { FinetuneProgram } from './program.ts';
import type { FinetuneState } from './state.ts';

export interface FinetuneHooks extends Pick<TrainHooks, 'signal' | 'onStep'> {
  /** Awaited every `checkpointEverySteps` steps: durable when it returns. The vectors change afterwards. */
  onCheckpoint?: (state: FinetuneState) => Promise<void>;
}

export interface Finetuned {
  /** The flat vector that is kept. */
  values: Float32Array;
  recallByEpoch: number[];
  lastLoss: number;
}

/**
 * Trains the last stages of a backbone with a head on top, in this process. A run resumed from any of its checkpoints ends in the
 * same bytes as an uninterrupted one on the same backend.
 * @throws LookalikeError `cancelled` | `nonFinite` before the update that would have spoilt the network
 */
export async function finetune(
  program: FinetuneProgram,
  config: FinetuneConfig,
  from?: FinetuneState,
  { signal, onStep, onCheckpoint }: FinetuneHooks = {},
): Promise<Finetuned> {
  const { numSteps, stepsPerEpoch, parameters, start } = program;
  const vectors = from ?? {
    values: start.slice(),
    firstMoments: new Float32Array(parameters.length),
    secondMoments: new Float32Array(parameters.length),
    averages: start.slice(),
  };
  const gradient = new Float32Array(parameters.length);
  const recallByEpoch = [...(from?.recallByEpoch ?? [])];
  let lastLoss = Number.NaN;
  for (let step = from?.step ?? 0; step < numSteps; step++) {
    if (signal?.aborted) {
      throw new LookalikeError('cancelled', `Fine-tuning was cancelled at step ${step} of ${numSteps}.`);
    }
    const rates = program.ratesAt(step);
    const loss = await program.gradient(vectors.values, step, gradient);
    adamStep(parameters, vectors, gradient, start, rates);

    lastLoss = loss;
    const done = step + 1;
    if (done % stepsPerEpoch === 0 && program.canJudge) recallByEpoch.push(await program.recall(vectors.averages));
    if (done % config.checkpointEverySteps === 0 && done < numSteps) {
      await onCheckpoint?.({ ...vectors, step: done, recallByEpoch: [...recallByEpoch] });
    }
    const epoch = Math.floor(step / stepsPerEpoch);
    await onStep?.({
      epoch,
      step: done,
      numSteps,
      loss,
      learningRate: rates.backbone,
      recallByEpoch,
    } satisfies StepReport);
  }
  return { values: blended(vectors.averages, start, config, program), recallByEpoch, lastLoss };
}

/** Part of the way back to the start often holds up better on pictures from elsewhere (WiSE-FT, Wortsman et al., arXiv 2109.01903). */
function blended(
  values: Float32Array,
  start: Float32Array,
  { keep }: FinetuneConfig,
  { parameters }: FinetuneProgram,
): Float32Array {
  const out = values.slice();
  for (const { offset, length, isBackbone } of parameters.list) {
    if (!isBackbone) continue;
    for (let i = offset; i < offset + length; i++) out[i] = values[i]! * (1 - keep) + start[i]! * keep;
  }
  return out;
}
