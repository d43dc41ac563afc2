import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../../lib/sync/ring-inbox.ts';
import { ringSchedule } from '../../../lib/sync/ring-schedule.ts';
import { Ring } from '../../../lib/sync/ring.ts';
import type { RingPart } from '../../../lib/sync/ring.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { MemoryRing } from './memory-ring.ts';

const vectorOf = (rank: number, length: number, operation = 0): Float32Array =>
  normals(length, randomOf('ring', rank, operation));
const ringsOf = (memory: MemoryRing, bucketBytes = 256): Ring[] =>
  memory.peers.map((peer) => new Ring(peer, bucketBytes));
const plain = (values: Float32Array): RingPart[] => [{ values, encoding: 'none' }];

/** Lets between none and three other turns pass. */
function shuffled(seed: number): () => Promise<void> {
  const random = randomOf('delay', seed);
  return async () => {
    for (let turns = Math.floor(random() * 4); turns > 0; turns--) await new Promise(setImmediate);
  };
}

/** In slice order, in double precision, and the sum of magnitudes beside it. */
function sums(size: number, length: number, operation = 0): { sum: number; magnitude: number }[] {
  const vectors = Array.from({ length: size }, (_, rank) => vectorOf(rank, length, operation));
  return Array.from({ length }, (_, i) => ({
    sum: vectors.reduce((sum, vector) => sum + vector[i]!, 0),
    magnitude: vectors.reduce((sum, vector) => sum + Math.abs(vector[i]!), 0),
  }));
}

describe('ringSchedule', () => {
  it.each([2, 3, 4, 7])(
    'of %d ranks: what one sends is what its right neighbour receives, and all is summed and shared',
    (size) => {
      const schedules = Array.from({ length: size }, (_, rank) => ringSchedule(rank, size));
      let held = schedules.map((_, rank) => Array.from({ length: size }, () => [rank]));
      for (let hop = 0; hop < 2 * (size - 1); hop++) {
        const before = structuredClone(held);
        held = held.map((chunks, rank) => {
          const { receive, adds } = schedules[rank]![hop]!;
          const left = (rank + size - 1) % size;
          expect(schedules[left]![hop]!.send).toBe(receive);
          return chunks.with(receive, [...before[left]![receive]!, ...(adds ? chunks[receive]! : [])]);
        });
      }
      const everybody = Array.from({ length: size }, (_, rank) => rank);
      for (const chunks of held) for (const ranks of chunks) expect(ranks.toSorted()).toEqual(everybody);
    },
  );
});

describe('Ring', () => {
  it('leaves the same bytes at every rank, those of the slice-order sum within float32 rounding, at any timing', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 60, max: 2000 }),
        fc.nat(),
        async (size, length, bucketBytes, seed) => {
          const rings = ringsOf(new MemoryRing(size, shuffled(seed)), bucketBytes);
          for (let operation = 0; operation < 2; operation++) {
            const vectors = rings.map((_, rank) => vectorOf(rank, length, operation));
            await Promise.all(rings.map((ring, rank) => ring.allReduce(plain(vectors[rank]!))));
            for (const vector of vectors) expect(vector).toEqual(vectors[0]);
            sums(size, length, operation).forEach(({ sum, magnitude }, i) =>
              expect(Math.abs(vectors[0]![i]! - sum)).toBeLessThanOrEqual(size * 2 ** -24 * magnitude),
            );
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  it('gives the same bytes however the messages were delayed', async () => {
    const results = [];
    for (const seed of [1, 2, 3]) {
      const rings = ringsOf(new MemoryRing(4, shuffled(seed)));
      const vectors = rings.map((_, rank) => vectorOf(rank, 333));
      await Promise.all(rings.map((ring, rank) => ring.allReduce(plain(vectors[rank]!))));
      results.push(vectors[0]);
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });

  it.each([2, 3, 4, 8])(
    'of %d ranks sends 2 (n - 1) / n of the vector from each, and half of it as fp16',
    async (size) => {
      const length = 48 * size;
      for (const encoding of ['none', 'fp16'] as const) {
        const rings = ringsOf(new MemoryRing(size), 4 * 12 * size);
        await Promise.all(rings.map((ring, rank) => ring.allReduce([{ values: vectorOf(rank, length), encoding }])));
        const numMessages = 4 * 2 * (size - 1);
        const bound = ((2 * (size - 1)) / size) * length * 4;
        for (const ring of rings) {
          const valueBytes = encoding === 'none' ? bound : bound / 2 + 4 * numMessages;
          const sentBytes = valueBytes + 16 * numMessages;
          expect(ring.traffic()).toEqual({ valueBytes, sentBytes, receivedBytes: sentBytes });
        }
      }
    },
  );

  it('as fp16 still leaves the same bytes at every rank, near the sum', async () => {
    const [size, length] = [5, 301];
    const rings = ringsOf(new MemoryRing(size, shuffled(9)), 400);
    const vectors = rings.map((_, rank) => vectorOf(rank, length));
    await Promise.all(rings.map((ring, rank) => ring.allReduce([{ values: vectors[rank]!, encoding: 'fp16' }])));
    for (const vector of vectors) expect(vector).toEqual(vectors[0]);
    // One rounding of 2^-11 for each of n - 1 partial sums and the final one.
    sums(size, length).forEach(({ sum, magnitude }, i) =>
      expect(Math.abs(vectors[0]![i]! - sum)).toBeLessThanOrEqual(size * 2 ** -11 * magnitude),
    );
    const exact = sums(size, length);
    expect(vectors[0]!.some((value, i) => Math.abs(value - exact[i]!.sum) > 1e-4)).toBe(true);
  });

  it.each([2, 3, 5])('of %d ranks ends everywhere, now and later, when one is killed', async (size) => {
    const memory = new MemoryRing(size);
    const rings = ringsOf(memory);
    await Promise.all(rings.map((ring, rank) => ring.allReduce(plain(vectorOf(rank, 50)))));
    // Rank 1 takes no part in the second: its process is gone.
    const others = rings.filter((_, rank) => rank !== 1);
    const outcomes = Promise.allSettled(others.map((ring, i) => ring.allReduce(plain(vectorOf(i, 50)))));
    memory.kill(1);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ reason: { name: 'LookalikeError', code: 'unavailable' } });
    }
    for (const ring of others)
      await expect(ring.allReduce(plain(vectorOf(0, 50)))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('ends everywhere when one rank aborts, saying where', async () => {
    const rings = ringsOf(new MemoryRing(4));
    const controller = new AbortController();
    const calls = Promise.allSettled(
      rings.map((ring, rank) =>
        rank === 3 ? Promise.resolve() : ring.allReduce(plain(vectorOf(rank, 80)), controller.signal),
      ),
    );
    controller.abort();
    const [first, second, third] = await calls;
    for (const outcome of [first, second, third]) expect(outcome).toMatchObject({ reason: { code: 'cancelled' } });
    await expect(rings[3]!.allReduce(plain(vectorOf(3, 80)))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/^The ring ended at rank [02]: The all-reduce was cancelled/) as string,
    });
  });

  it.each([
    ['NaN', Float32Array.of(1, NaN, 1, 1)],
    ['a sum beyond float32', new Float32Array(4).fill(3e38)],
    ['another length', new Float32Array(8)],
  ])('refuses %s, at every rank', async (_, wrong) => {
    const rings = ringsOf(new MemoryRing(3));
    const outcomes = await Promise.allSettled(
      rings.map((ring, rank) => ring.allReduce(plain(rank === 1 ? wrong : new Float32Array(4).fill(2e38)))),
    );
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { name: 'LookalikeError' } });
  });

  it('refuses messages that cannot belong to it', async () => {
    for (const message of [new Uint8Array(3), encodeMessage({ operation: 7, bucket: 0, hop: 0 }, new Uint8Array(0))]) {
      const memory = new MemoryRing(2);
      const ring = new Ring(memory.peers[0]!, 256);
      await memory.peers[1]!.send(0, message);
      await expect(ring.allReduce(plain(new Float32Array(4)))).rejects.toMatchObject({ name: 'LookalikeError' });
    }
  });

  it('lets a rank that is done leave without ending it for those that are not', async () => {
    const rings = ringsOf(new MemoryRing(3, shuffled(4)));
    const vectors = rings.map((_, rank) => vectorOf(rank, 90));
    await Promise.all(
      rings.map(async (ring, rank) => {
        await ring.allReduce(plain(vectors[rank]!));
        ring.close();
      }),
    );
    expect(vectors[1]).toEqual(vectors[0]);
    await expect(rings[0]!.allReduce(plain(vectors[0]!))).rejects.toMatchObject({ code: 'cancelled' });
  });
});
