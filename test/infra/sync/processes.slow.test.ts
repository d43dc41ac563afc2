import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { createParameterClient } from '../../../infra/sync/parameter-client.ts';
import { createPushEncoders } from '../../../infra/sync/push-encoders.ts';
import { partition } from '../../../lib/sync/layout.ts';
import type { ParameterClient } from '../../../lib/sync/protocol.ts';
import { bitsOf, layoutOf, RUN, seedOf, TOKEN, train, trainInMemory } from './cluster.ts';
import { openLink, whyNoLink } from './netem.ts';
import type { NetworkLink } from './netem.ts';
import type { PeerMessage } from './peer-process.ts';

const PEER = new URL('./peer-process.ts', import.meta.url).pathname;
const LENGTH = 50_000;

const children: ChildProcess[] = [];
const clients: ParameterClient[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  const running = children.splice(0).filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  await Promise.all(running.map((child) => (child.kill('SIGKILL'), once(child, 'exit'))));
});

function begin(child: ChildProcess): ChildProcess {
  children.push(child);
  return child;
}

/** The next message of a kind. */
async function told<T extends PeerMessage['type']>(
  child: ChildProcess,
  type: T,
  which: (message: Extract<PeerMessage, { type: T }>) => boolean = () => true,
): Promise<Extract<PeerMessage, { type: T }>> {
  for await (const [message] of on(child, 'message') as AsyncIterable<[Extract<PeerMessage, { type: T }>]>) {
    if (message.type === type && which(message)) return message;
  }
  throw new Error('Messages have no end.');
}

async function startShard(): Promise<{ process: ChildProcess; url: string }> {
  const child = begin(fork(PEER, ['shard', '127.0.0.1', String(LENGTH)]));
  return { process: child, url: (await told(child, 'listening')).url };
}

function connect(urlOf: () => string, silenceMs: number): ParameterClient {
  const client = createParameterClient({
    token: TOKEN,
    run: RUN,
    layout: layoutOf(LENGTH),
    numShards: 1,
    endpoints: async () => [{ shard: 0, url: urlOf() }],
    encoders: createPushEncoders({ kind: 'none' }, partition(LENGTH, 1)),
    attemptMs: 200,
    silenceMs,
  });
  clients.push(client);
  return client;
}

const resultOf = async (client: ParameterClient, step: number): Promise<string> =>
  bitsOf((await client.pull({ step })).values);
const expected = async (numSteps: number): Promise<string> => bitsOf(await trainInMemory(LENGTH, numSteps));

describe('processes of a run', () => {
  it('go on from the last checkpoint when a shard is killed and started elsewhere', async () => {
    let shard = await startShard();
    const client = connect(() => shard.url, 10_000);
    await client.seed(seedOf(LENGTH));
    await train(client, 0, 4);
    const checkpoint = await client.snapshot(4);
    await train(client, 4, 5);
    shard.process.kill('SIGKILL');
    const refused = expect(train(client, 5, 6)).rejects.toMatchObject({ code: 'conflict' });
    shard = await startShard();
    await refused;
    await client.seed(checkpoint);
    await train(client, 4, 7);
    expect(await resultOf(client, 7)).toBe(await expected(7));
  });

  it('wait for a shard that is frozen until their patience ends, and go on when it thaws', async () => {
    const shard = await startShard();
    const [patient, hasty] = [connect(() => shard.url, 20_000), connect(() => shard.url, 500)];
    await patient.seed(seedOf(LENGTH));
    await hasty.status();
    await train(patient, 0, 2);
    shard.process.kill('SIGSTOP');
    const later = train(patient, 2, 4);
    await expect(hasty.pull({ step: 2 })).rejects.toMatchObject({ code: 'unavailable' });
    shard.process.kill('SIGCONT');
    await later;
    expect(await resultOf(patient, 4)).toBe(await expected(4));
  });

  it('take the place of a replica that is killed where it stopped', async () => {
    const shard = await startShard();
    const mortal = begin(fork(PEER, ['replica', shard.url, String(LENGTH), '1000000']));
    await told(mortal, 'step', ({ step }) => step >= 3);
    mortal.kill('SIGKILL');
    await once(mortal, 'exit');
    const client = connect(() => shard.url, 5_000);
    const next = (await client.status())[0]!.statistics.nextStepBySlice[0]!;
    const heir = begin(fork(PEER, ['replica', shard.url, String(LENGTH), String(next + 3)]));
    const [first, done] = await Promise.all([told(heir, 'step'), told(heir, 'done')]);
    expect(first.step).toBe(next);
    expect(done.bits).toBe(await expected(next + 3));
  });
});

const noLink = whyNoLink();
describe.skipIf(noLink !== null)(`processes on two hosts${noLink === null ? '' : ` (skipped: ${noLink})`}`, () => {
  /** A shard on one host and a replica on the other, which ends with the right values whatever happens to their link. */
  async function trainOver(numSteps: number, act: (link: NetworkLink, replica: ChildProcess) => Promise<void>) {
    const link = await openLink(1);
    try {
      const shard = begin(link.fork(0, PEER, ['shard', link.addresses[0], String(LENGTH)]));
      const { url } = await told(shard, 'listening');
      const replica = begin(link.fork(1, PEER, ['replica', url, String(LENGTH), String(numSteps)]));
      const done = told(replica, 'done');
      await act(link, replica);
      expect((await done).bits).toBe(await expected(numSteps));
    } finally {
      for (const child of children) child.kill('SIGKILL');
      await link.close();
    }
  }

  it('get the right result over a link that is cut for two seconds and heals', async () => {
    await trainOver(40, async (link, replica) => {
      await told(replica, 'step', ({ step }) => step >= 10);
      await link.set({ delayMs: 0, lossShare: 1 });
      let steps = 0;
      replica.on('message', ({ type }: PeerMessage) => (steps += type === 'step' ? 1 : 0));
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      // One that was on its way when the link was cut.
      expect(steps).toBeLessThanOrEqual(2);
      await link.set({ delayMs: 0, lossShare: 0 });
    });
  });

  it('get the right result over 50 ms and 1 % of loss', async () => {
    await trainOver(10, async (link, replica) => {
      await link.set({ delayMs: 50, lossShare: 0.01 });
      await told(replica, 'step', ({ step }) => step >= 1);
    });
  });
});
