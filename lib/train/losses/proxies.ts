import type { Tensor2D } from '@tensorflow/tfjs';
import { LookalikeError } from '../../../contracts/errors.ts';
import type { LossInput } from './loss.ts';

/** Proxies [C, D], the cosines of a batch with them [B, C], and which of them is each row's own: [B, C] of 0 and 1. */
export interface ProxyCosines {
  proxies: Tensor2D;
  cosines: Tensor2D;
  own: Tensor2D;
}

/** @throws LookalikeError `invalidInput` without proxies */
export function proxyCosines({ tf, embeddings, labels, proxies }: LossInput, kind: string): ProxyCosines {
  if (proxies === null) throw new LookalikeError('invalidInput', `Expected proxies for ${kind}, got none.`);
  return {
    proxies,
    cosines: tf.matMul(embeddings, proxies, false, true),
    own: tf.oneHot(tf.tensor1d(labels, 'int32'), proxies.shape[0]).cast<Tensor2D>('float32'),
  };
}
