import { assertNever } from '../../../contracts/errors.ts';
import type { LossConfig } from '../../../contracts/training.ts';
import { arcFace } from './arc-face.ts';
import { batchHardTriplet } from './batch-hard-triplet.ts';
import type { Loss } from './loss.ts';
import { multiSimilarity } from './multi-similarity.ts';
import { proxyAnchor } from './proxy-anchor.ts';
import { proxySoftmax } from './proxy-softmax.ts';
import { supCon } from './sup-con.ts';
import { visnetTriplet } from './visnet-triplet.ts';

export type { Loss, LossInput } from './loss.ts';

export function createLoss(config: LossConfig): Loss {
  switch (config.kind) {
    case 'proxySoftmax':
      return proxySoftmax(config);
    case 'arcFace':
      return arcFace(config);
    case 'proxyAnchor':
      return proxyAnchor(config);
    case 'batchHardTriplet':
      return batchHardTriplet(config);
    case 'visnetTriplet':
      return visnetTriplet(config);
    case 'supCon':
      return supCon(config);
    case 'multiSimilarity':
      return multiSimilarity(config);
    default:
      return assertNever(config);
  }
}

/**
 * Whether the loss learns one proxy per label beside the head. One that does not compares the rows of a batch with each other: it
 * needs two samples of a label, and two labels, wherever it looks.
 */
export function usesProxies({ kind }: Pick<LossConfig, 'kind'>): boolean {
  return kind === 'proxySoftmax' || kind === 'arcFace' || kind === 'proxyAnchor';
}
