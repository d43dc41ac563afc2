import type { Scalar, Tensor2D } from '@tensorflow/tfjs';
import { logOnePlusSumExp } from './log-sum-exp.ts';
import type { Loss } from './loss.ts';
import { proxyCosines } from './proxies.ts';

/**
 * Proxy-Anchor (Kim et al., arXiv 2003.13911, eq. 4): each proxy p is an anchor of the whole batch, alpha = scale, delta = margin,
 * 1/|P+| sum_{p in P+} log(1 + sum_{x of p} e^{-alpha(s(x,p) - delta)}) + 1/|P| sum_p log(1 + sum_{x not of p} e^{alpha(s(x,p) + delta)}).
 * P+ are the proxies of labels that occur in the batch.
 */
export function proxyAnchor({ scale, margin }: { scale: number; margin: number }): Loss {
  return (input) => {
    const { tf, labels } = input;
    const { proxies, cosines, own } = proxyCosines(input, 'proxyAnchor');
    const [s, isOwn] = [tf.transpose(cosines), tf.transpose(own)]; // [C, B]
    const pulled = logOnePlusSumExp(tf, tf.mul(tf.sub(s, margin), -scale), isOwn);
    const pushed = logOnePlusSumExp(tf, tf.mul<Tensor2D>(tf.add(s, margin), scale), tf.sub(1, isOwn));
    return tf.add<Scalar>(tf.div(tf.sum(pulled), new Set(labels).size), tf.div(tf.sum(pushed), proxies.shape[0]));
  };
}
