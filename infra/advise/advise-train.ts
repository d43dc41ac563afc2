import { adviseTraining } from '../../lib/advise/advise.ts';
import type { Advice } from '../../lib/advise/advise.ts';

/** What is asked, in the units in which people know it. */
export interface AdviseTrainOptions {
  parameters: number;
  /** Computing time of one slice, forward and backward. */
  stepMs: number;
  replicas: number[];
  gbit: number[];
  messageUs: number;
  frameUs: number;
  byteNs: number;
  updateGbs: number;
  codecNs: number;
  variation: number;
  slowShare: number;
  slowFactor: number;
  seed: number;
}

export type { Advice };

/** Simulates every strategy for each number of replicas and each network. @throws LookalikeError `invalidInput` */
export function adviseTrain(options: AdviseTrainOptions): Advice[] {
  const { parameters, stepMs, variation, slowShare, slowFactor, seed } = options;
  return adviseTraining(
    { numParameters: parameters, computeSeconds: stepMs / 1e3 },
    {
      messageSeconds: options.messageUs / 1e6,
      frameSeconds: options.frameUs / 1e6,
      byteSeconds: options.byteNs / 1e9,
      updateBytesPerSecond: options.updateGbs * 1e9,
      codecSecondsPerParameter: options.codecNs / 1e9,
      stragglers: { variation, slowShare, slowFactor },
    },
    { replicas: options.replicas, bitsPerSecond: options.gbit.map((gbit) => gbit * 1e9) },
    { seed },
  );
}

export const ADVICE_HEADING = ['replicas', 'Gbit/s', 'strategy', 'speed-up', 'efficiency', 'waiting', 'kB/step', 'why'];

export function adviceCells({ replicas, bitsPerSecond, chosen, why }: Advice): (string | number)[] {
  const { efficiency, waitShare, bytesPerStep } = chosen.prediction;
  return [
    replicas,
    bitsPerSecond / 1e9,
    chosen.name,
    Number((efficiency * replicas).toFixed(1)),
    Number(efficiency.toFixed(2)),
    Number(waitShare.toFixed(2)),
    Math.round(bytesPerStep / 1e3),
    why,
  ];
}
