import fc from 'fast-check';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { curveKeyPair, Push } from 'zeromq';
import { deriveRunKeys } from '../../../infra/sync/curve-keys.ts';
import type { CurveKeyPair } from '../../../infra/sync/curve-keys.ts';
import { partsOf } from '../../../infra/sync/frame-parts.ts';
import type { RingNodeOptions } from '../../../infra/sync/ring-node.ts';
import { Ring } from '../../../lib/sync/ring.ts';
import type { RingPart, RingPeer } from '../../../lib/sync/ring.ts';
import { normals, randomOf } from '../../../lib/train/random.ts';
import { MemoryRing } from '../../lib/sync/memory-ring.ts';
import { RUN, TOKEN } from './cluster.ts';
import { SocketRings } from './socket-rings.ts';
import { startTcpProxy } from './tcp-proxy.ts';

const LENGTH = 5_000;
const BUCKET_BYTES = 4_096;
const KEYS = deriveRunKeys(TOKEN, RUN);

const opened: { close: () => Promise<unknown> | void }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

async function open(size: number, options: Partial<RingNodeOptions> = {}): Promise<SocketRings> {
  const rings = await SocketRings.open(size, options);
  opened.push(rings);
  return rings;
}

const vectorOf = (rank: number): Float32Array => normals(LENGTH, randomOf('ring', rank));
const ringsOf = (peers: readonly RingPeer[]): Ring[] => peers.map((peer) => new Ring(peer, BUCKET_BYTES));

/** What every rank has after one sum of all ranks' vectors. */
async function sumOver(rings: readonly Ring[], encoding: RingPart['encoding'] = 'none'): Promise<Float32Array[]> {
  const vectors = rings.map((_, rank) => vectorOf(rank));
  await Promise.all(rings.map((ring, rank) => ring.allReduce([{ values: vectors[rank]!, encoding }])));
  return vectors;
}

const expectedOf = async (size: number, encoding: RingPart['encoding'] = 'none'): Promise<Float32Array> =>
  (await sumOver(ringsOf(new MemoryRing(size).peers), encoding))[0]!;

async function expectSums(rings: readonly Ring[]): Promise<void> {
  const expected = await expectedOf(rings.length);
  for (const vector of await sumOver(rings)) expect(vector).toEqual(expected);
}

/** Every rank sums, and meets the others again when it cannot, until all have summed. */
async function expectWholeAgain({ nodes }: SocketRings): Promise<void> {
  const over = new AbortController();
  const { signal } = over;
  const sums = new Map<number, Float32Array>();
  async function sum(rank: number): Promise<void> {
    try {
      const ring = new Ring(await nodes[rank]!.meet(signal), BUCKET_BYTES);
      while (!signal.aborted) {
        const values = vectorOf(rank);
        await ring.allReduce([{ values, encoding: 'none' }], signal);
        sums.set(rank, values);
        if (sums.size === nodes.length) over.abort();
      }
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/^(unavailable|cancelled)$/) as string });
      await new Promise(setImmediate);
    }
  }
  await Promise.all(
    nodes.map(async (_, rank) => {
      while (!signal.aborted) await sum(rank);
    }),
  );
  const expected = await expectedOf(nodes.length);
  for (const values of sums.values()) expect(values).toEqual(expected);
}

describe('ranks of a ring over sockets', () => {
  it.each([1, 2, 3, 4])('%d of them sum as in memory, bit for bit, and count what leaves', async (size) => {
    for (const encoding of ['none', 'fp16'] as const) {
      const rings = ringsOf(await (await open(size)).meetAll());
      const expected = await expectedOf(size, encoding);
      for (const vector of await sumOver(rings, encoding)) expect(vector).toEqual(expected);
      const numMessages = Math.ceil((4 * LENGTH) / BUCKET_BYTES) * 2 * (size - 1);
      for (const ring of rings) {
        const { valueBytes, sentBytes } = ring.traffic();
        expect(sentBytes).toBe(valueBytes + (16 + 64) * numMessages);
      }
    }
  });

  it('all hear of a rank that is killed, and meet again with its successor', async () => {
    const all = await open(4);
    const rings = ringsOf(await all.meetAll());
    await expectSums(rings);
    const others = rings.filter((_, rank) => rank !== 2);
    const outcomes = Promise.allSettled(
      others.map((ring) => ring.allReduce([{ values: vectorOf(0), encoding: 'none' }])),
    );
    await all.kill(2);
    for (const outcome of await outcomes) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } });
    await expectWholeAgain(all);
  });

  it('meet again when a rank is replaced at any moment of their meeting', async () => {
    for (const turns of [0, 1, 3, 5, 10, 20, 50]) {
      const all = await open(3);
      const whole = expectWholeAgain(all);
      for (let i = 0; i < turns; i++) await new Promise(setImmediate);
      await all.kill(2);
      await whole;
      await all.close();
    }
  });

  it('meet again when connections are cut, also in the middle of a message', async () => {
    const all = await open(3);
    const proxies = await Promise.all(all.nodes.map(({ url }) => startTcpProxy(url.split('#')[0]!)));
    opened.push(...proxies);
    proxies.forEach(({ url }, rank) => all.urls.set(rank, url));
    for (const [rank, proxy] of proxies.entries()) {
      await expectWholeAgain(all);
      const isCut = proxy.cut(rank === 0 ? undefined : 9_000);
      await expectWholeAgain(all);
      await isCut;
    }
  });

  it('send no more than their neighbour takes', async () => {
    const all = await open(2, { bucketBytes: 2 ** 24 });
    const proxy = await startTcpProxy(all.nodes[1]!.url.split('#')[0]!);
    opened.push(proxy);
    all.urls.set(1, proxy.url);
    const [peer] = await all.meetAll();
    proxy.pause();
    let numTaken = 0;
    const message = new Uint8Array(2 ** 20);
    const sent = Array.from({ length: 200 }, () => peer!.send(1, message).then(() => numTaken++));
    await vi.waitFor(() => expect(numTaken).toBeGreaterThan(10));
    expect(numTaken).toBeLessThan(100);
    proxy.resume();
    await Promise.all(sent);
  });
});

describe('a rank of a ring', () => {
  it('says who is missing, and joins once it is there', async () => {
    const all = await open(2, { silenceMs: 100 });
    await expect(all.nodes[0]!.meet()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('rank 1') as string,
    });
    await expect(all.nodes[0]!.meet(AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    await all.close();
    const patient = await open(2);
    const first = patient.nodes[0]!.meet();
    await expect.poll(() => patient.nodes[0]!.counts().refused).toBe(0);
    const peers = await Promise.all([first, patient.nodes[1]!.meet()]);
    await expectSums(ringsOf(peers));
  });

  it('gives way to a later attempt of itself', async () => {
    const all = await open(2);
    const first = all.nodes[1]!;
    const second = await all.start(1);
    await expect(first.meet()).rejects.toMatchObject({ code: 'conflict' });
    await expect(all.start(1, { attempt: 1 })).rejects.toMatchObject({ code: 'unavailable' });
    expect(all.nodes[1]).toBe(second);
    await expectWholeAgain(all);
  });

  it('of another secret is told so, and is let in by nobody', async () => {
    const all = await open(2, { silenceMs: 900 });
    await all.nodes[1]!.close();
    const config = { dataPlane: { host: '127.0.0.1', token: 'what another host was given' } };
    const stranger = await all.start(1, { config });
    const outcomes = await Promise.allSettled([all.nodes[0]!.meet(), stranger.meet()]);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        reason: {
          code: 'unauthorized',
          retryable: false,
          message: expect.stringContaining('give every trainer the same LOOKALIKE_DATA_PLANE_TOKEN') as string,
        },
      });
    }
    // Without the mark that tells it beforehand.
    for (const [rank, { url }] of all.nodes.entries()) all.urls.set(rank, url.split('#')[0]!);
    const again = await Promise.allSettled([all.nodes[0]!.meet(), stranger.meet()]);
    for (const outcome of again) expect(outcome).toMatchObject({ reason: { code: 'unavailable' } });
    for (const node of [all.nodes[0]!, stranger]) expect(node.counts().damaged).toBe(0);
  });

  /** A peer that says what it likes. */
  function dial(url: string, keys: CurveKeyPair = KEYS.client): Push {
    const curve = { curvePublicKey: keys.publicKey, curveSecretKey: keys.secretKey };
    const push = new Push({ linger: 0, curveServerKey: KEYS.server.publicKey, ...curve });
    push.connect(url.split('#')[0]!);
    opened.push({ close: () => push.close() });
    return push;
  }

  it('hears nobody with another key', async () => {
    const all = await open(2);
    const { url } = all.nodes[0]!;
    for (const keys of [curveKeyPair(), deriveRunKeys(TOKEN, 'train/other').client]) {
      await dial(url, keys).send([Buffer.from('nonsense')]);
    }
    await vi.waitFor(() => expect(all.nodes[0]!.counts().refused).toBeGreaterThanOrEqual(2));
    expect(all.nodes[0]!.counts().damaged).toBe(0);
    await expectWholeAgain(all);
  });

  it('gives up a ring in which something came damaged, and meets the others again', async () => {
    const all = await open(3);
    const rings = ringsOf(await all.meetAll());
    await expectSums(rings);
    const [header, body] = partsOf({ type: 'chunk', shard: 0, slice: 1 }, Buffer.alloc(100));
    const flip = (bytes: Buffer, bit: number): Buffer => {
      const copy = Buffer.from(bytes);
      copy[(bit >> 3) % copy.length]! ^= 1 << (bit & 7);
      return copy;
    };
    const message = fc.oneof(
      fc.array(
        fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
        { minLength: 1, maxLength: 4 },
      ),
      fc.nat(511).map((bit) => [flip(header, bit), body]),
      fc.nat(799).map((bit) => [header, flip(body, bit)]),
    );
    const peer = dial(all.nodes[1]!.url);
    const messages = fc.sample(message, { numRuns: 200, seed: 1 });
    for (const parts of messages) await peer.send(parts);
    await vi.waitFor(() => expect(all.nodes[1]!.counts().damaged).toBe(messages.length));
    for (const outcome of await Promise.allSettled([sumOver(rings)])) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    }
    await expectWholeAgain(all);
  });
});
