import type { Link, TensorFrame } from '../../../lib/pipeline/link.ts';

/** Both ends of a connection within one process, which count what they send. */
export function linkPair(): { ends: [Link, Link]; sent: TensorFrame[] } {
  const sent: TensorFrame[] = [];
  const queue = (): { put: (frame: TensorFrame) => void; take: () => Promise<TensorFrame> } => {
    const frames: TensorFrame[] = [];
    const waiting: ((frame: TensorFrame) => void)[] = [];
    return {
      put: (frame) => {
        const taker = waiting.shift();
        if (taker) taker(frame);
        else frames.push(frame);
      },
      take: () => {
        const frame = frames.shift();
        return frame ? Promise.resolve(frame) : new Promise((resolve) => waiting.push(resolve));
      },
    };
  };
  const [there, back] = [queue(), queue()];
  const end = (out: typeof there, incoming: typeof there): Link => ({
    send: async (frame) => {
      // Copied, as a wire would: neither end may see what the other does to its array later.
      const copy = { ...frame, values: frame.values.slice() };
      sent.push(copy);
      out.put(copy);
    },
    receive: () => incoming.take(),
  });
  return { ends: [end(there, back), end(back, there)], sent };
}
