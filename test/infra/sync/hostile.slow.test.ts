import { connect } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { curveKeyPair, Dealer, Router } from 'zeromq';
import { deriveRunKeys } from '../../../infra/sync/curve-keys.ts';
import type { CurveKeyPair } from '../../../infra/sync/curve-keys.ts';
import { frameOf, partsOf } from '../../../infra/sync/frame-parts.ts';
import type { Frame } from '../../../lib/sync/frames.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import type { Cluster } from './cluster.ts';
import { bitsOf, pushOf, RUN, seedOf, startCluster, TOKEN, train, trainInMemory } from './cluster.ts';

/** A megabyte of parameters. */
const LENGTH = 250_000;
const KEYS = deriveRunKeys(TOKEN, RUN);

let cluster: Cluster;
let client: ParameterClient;
let incarnation: number;
const dealers: Dealer[] = [];

beforeEach(async () => {
  cluster = await startCluster({ length: LENGTH, numShards: 1, holdMs: 300 });
  client = cluster.connect();
  await client.seed(seedOf(LENGTH));
  incarnation = (await client.status())[0]!.incarnation;
});
afterEach(async () => {
  for (const dealer of dealers.splice(0)) dealer.close();
  await cluster.close();
});

/** A peer that says what it likes. */
function dial(keys: CurveKeyPair | null = KEYS.client, options: { receiveHighWaterMark?: number } = {}): Dealer {
  const curve =
    keys === null
      ? {}
      : {
          curveServerKey: KEYS.server.publicKey,
          curvePublicKey: keys.publicKey,
          curveSecretKey: keys.secretKey,
        };
  const dealer = new Dealer({ linger: 0, ...curve, ...options });
  dealer.connect(cluster.urls[0]!.split('#')[0]!);
  dealers.push(dealer);
  return dealer;
}

const answerTo = async (dealer: Dealer): Promise<Frame> => {
  const [header, body] = await dealer.receive();
  return frameOf(header!, body!);
};
const errorCode = ({ body }: Frame): unknown => (JSON.parse(Buffer.from(body).toString()) as { code: string }).code;

async function expectUnharmed(): Promise<void> {
  await train(client, 0, 2);
  expect(bitsOf((await client.pull({ step: 2 })).values)).toBe(bitsOf(await trainInMemory(LENGTH, 2)));
}

describe('a parameter shard', () => {
  it('talks to nobody with another key, or none', async () => {
    const request = partsOf({ type: 'status', sequence: 1 }, new Uint8Array(0));
    const answered = vi.fn();
    for (const keys of [curveKeyPair(), deriveRunKeys(TOKEN, 'train/other').client, null]) {
      const dealer = dial(keys);
      await dealer.send(request);
      dealer.receive().then(answered, () => undefined);
    }
    await vi.waitFor(() => expect(cluster.servers[0]!.counts().refused).toBeGreaterThanOrEqual(2));
    for (const options of [{ token: `${TOKEN}!` }, { run: 'train/other' }]) {
      // Without the mark that would tell it so beforehand.
      const unmarked = [{ shard: 0, url: cluster.urls[0]!.split('#')[0]! }];
      const endpoints = async (): Promise<typeof unmarked> => unmarked;
      const stranger = cluster.connect({ ...options, endpoints, attemptMs: 50, silenceMs: 300 });
      await expect(stranger.status()).rejects.toMatchObject({ code: 'unavailable' });
    }
    const { requests } = cluster.servers[0]!.counts();
    await client.status();
    expect(cluster.servers[0]!.counts().requests).toBe(requests + 1);
    expect(answered).not.toHaveBeenCalled();
  });

  it('takes any messages without harm', async () => {
    const dealer = dial();
    const push = partsOf({ type: 'push', incarnation, numValues: 4, weight: 1, sequence: 9 }, new Uint8Array(16));
    const flip = (bytes: Buffer, bit: number): Buffer => {
      const copy = Buffer.from(bytes);
      copy[(bit >> 3) % copy.length]! ^= 1 << (bit & 7);
      return copy;
    };
    const bytes = (maxLength: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
    const message = fc.oneof(
      fc.array(bytes(200), { minLength: 1, maxLength: 5 }),
      fc.tuple(
        fc.uint8Array({ minLength: 64, maxLength: 64 }).map((array) => Buffer.from(array)),
        bytes(100),
      ),
      fc.nat(511).map((bit) => [flip(push[0], bit), push[1]]),
      fc.nat(127).map((bit) => [push[0], flip(push[1], bit)]),
      fc.constantFrom([push[0]], [push[1], push[0]], [...push, push[1]], [push[0], Buffer.alloc(0)]),
    );
    const messages = fc.sample(message, { numRuns: 300, seed: 1 });
    const { requests } = cluster.servers[0]!.counts();
    for (const parts of messages) await dealer.send([...parts]);
    await vi.waitFor(() => expect(cluster.servers[0]!.counts().requests).toBe(requests + messages.length));
    expect(cluster.servers[0]!.counts().malformed).toBeGreaterThan(250);
    await expectUnharmed();
  });

  it('says of a damaged frame that it is to be sent again, and of one that is no request what it expected', async () => {
    const dealer = dial();
    const [header, body] = partsOf({ type: 'push', incarnation, sequence: 5, weight: 1 }, new Uint8Array(8));
    await dealer.send([header, Buffer.from('damaged!')]);
    const damaged = await answerTo(dealer);
    expect([damaged.sequence, errorCode(damaged)]).toEqual([5, 'corruptArtifact']);
    await dealer.send([header, body]);
    expect(errorCode(await answerTo(dealer))).toBe('dimensionMismatch');
    await dealer.send(partsOf({ type: 'values', sequence: 6 }, body));
    expect(errorCode(await answerTo(dealer))).toBe('invalidInput');
    await dealer.send(partsOf({ type: 'status', shard: 7 }, body));
    expect(errorCode(await answerTo(dealer))).toBe('conflict');
  });

  it('hangs up on a frame larger than its whole state', async () => {
    const dealer = dial();
    const hungUp = new Promise((resolve) => dealer.events.on('disconnect', resolve));
    await dealer.send(partsOf({ type: 'push' }, new Uint8Array(20 * LENGTH)));
    await hungUp;
    await expectUnharmed();
  });

  it('does not mind bytes that are not of its protocol', async () => {
    const { hostname, port } = new URL(cluster.urls[0]!);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    socket.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'.repeat(100)));
    socket.resume();
    await closed;
    await expectUnharmed();
  });

  it('serves the others beside a client that asks and asks and never reads', async () => {
    const deaf = dial(KEYS.client, { receiveHighWaterMark: 1 });
    for (let sequence = 1; sequence <= 200; sequence++) {
      await deaf.send(partsOf({ type: 'pull', incarnation, step: 0, sequence }, new Uint8Array(0)));
    }
    const trained = expectUnharmed();
    await vi.waitFor(() => expect(cluster.servers[0]!.counts().undelivered).toBeGreaterThan(100), 10_000);
    await trained;
  });

  it('lets one client wait for a few steps at once, and not for many', async () => {
    const greedy = dial();
    for (let sequence = 1; sequence <= 20; sequence++) {
      await greedy.send(partsOf({ type: 'pull', incarnation, step: 9, sequence }, new Uint8Array(0)));
    }
    const codes: unknown[] = [];
    for (let i = 0; i < 20; i++) codes.push(errorCode(await answerTo(greedy)));
    expect(codes.filter((code) => code === 'overloaded')).toHaveLength(12);
    expect(codes.filter((code) => code === 'timeout')).toHaveLength(8);
    await expectUnharmed();
  });
});

describe('a client of parameter shards', () => {
  it('asks again when an answer is damaged', async () => {
    const curve = { curveServer: true, curveSecretKey: KEYS.server.secretKey };
    const router = new Router({ linger: 0, ...curve });
    await router.bind('tcp://127.0.0.1:*');
    const careful = cluster.connect({ endpoints: async () => [{ shard: 0, url: router.lastEndpoint! }] });
    const states = careful.status();
    const body = Buffer.from(JSON.stringify({ step: 3 }));
    const sequences: number[] = [];
    for (const damaged of [true, true, false]) {
      const [from, header, rest] = await router.receive();
      const { sequence } = frameOf(header!, rest!);
      sequences.push(sequence);
      const answer = partsOf({ type: 'statistics', incarnation: 4, sequence }, body);
      await router.send([from!, answer[0], damaged ? Buffer.from('{"step":9}') : answer[1]]);
    }
    expect(await states).toEqual([{ incarnation: 4, statistics: { step: 3 } }]);
    expect(new Set(sequences).size).toBe(1);
    router.close();
  });

  it('refuses what no shard of its model would answer', async () => {
    const other = cluster.connect();
    await other.status();
    await expect(other.push({ ...pushOf(LENGTH - 1, 0) })).rejects.toMatchObject({ code: 'dimensionMismatch' });
    await expect(other.seed(seedOf(LENGTH + 1))).rejects.toMatchObject({ code: 'dimensionMismatch' });
  });
});
