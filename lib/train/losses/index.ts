import { assertNever } from '../../../contracts/errors.ts';
import type { LossConfig } from '../../../contracts/training.ts';
import { batchHardTriplet } from './batch-hard-triplet.ts';
import type { Loss } from './loss.ts';
import { proxySoftmax } from './proxy-softmax.ts';
import { supCon } from './sup-con.ts';
import { visnetTriplet } from './visnet-triplet.ts';

export type { Loss, LossInput } from './loss.ts';

export function createLoss(config: LossConfig): Loss {
  switch (config.kind) {
    case 'proxySoftmax':
      return proxySoftmax(config);
    case 'batchHardTriplet':
      return batchHardTriplet(config);
    case 'visnetTriplet':
      return visnetTriplet(config);
    case 'supCon':
      return supCon(config);
    default:
      return assertNever(config);
  }
}

/** Whether the loss learns one proxy per label beside the head. */
export function usesProxies(config: LossConfig): boolean {
  return config.kind === 'proxySoftmax';
}
