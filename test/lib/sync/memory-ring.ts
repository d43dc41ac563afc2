import type { RingPeer } from '../../../lib/sync/ring.ts';

/** The connections of a ring within this process: in order between two ranks, in any order between others. */
export class MemoryRing {
  readonly peers: RingPeer[];
  readonly #queues: { messages: Uint8Array[]; waiting: PromiseWithResolvers<Uint8Array> | null; lost: Error | null }[];
  readonly #links = new Map<string, Promise<void>>();

  /** @param delay awaited before each message arrives */
  constructor(size: number, delay: () => Promise<void> = () => Promise.resolve()) {
    this.#queues = Array.from({ length: size }, () => ({ messages: [], waiting: null, lost: null }));
    this.peers = Array.from({ length: size }, (_, rank) => ({
      rank,
      size,
      overheadBytes: 0,
      close: () => undefined,
      send: (to, message) => {
        if (this.#queues[rank]!.lost ?? this.#queues[to]!.lost) return Promise.reject(new Error('The line is cut.'));
        // As a transport would: what arrives is a copy of what was sent when it was sent.
        const copy = message.slice();
        const link = `${rank}>${to}`;
        const before = this.#links.get(link) ?? Promise.resolve();
        this.#links.set(
          link,
          before.then(delay).then(() => this.#deliver(to, copy)),
        );
        return Promise.resolve();
      },
      receive: () => {
        const queue = this.#queues[rank]!;
        const message = queue.messages.shift();
        if (message !== undefined) return Promise.resolve(message);
        if (queue.lost !== null) return Promise.reject(queue.lost);
        queue.waiting = Promise.withResolvers();
        return queue.waiting.promise;
      },
    }));
  }

  /** As if the process of this rank had been killed: its right neighbour's connection breaks. */
  kill(rank: number): void {
    for (const lost of [rank, (rank + 1) % this.peers.length]) this.#lose(lost);
  }

  #lose(rank: number): void {
    const queue = this.#queues[rank]!;
    queue.lost = new Error(`The connections of rank ${rank} broke.`);
    queue.waiting?.reject(queue.lost);
    queue.waiting = null;
  }

  #deliver(to: number, message: Uint8Array): void {
    const queue = this.#queues[to]!;
    if (queue.waiting === null) queue.messages.push(message);
    else queue.waiting.resolve(message);
    queue.waiting = null;
  }
}
