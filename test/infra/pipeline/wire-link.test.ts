import { afterEach, describe, expect, it } from 'vitest';
import { connectLink, openLinkHost } from '../../../infra/pipeline/wire-link.ts';
import type { LinkHost, WireLink } from '../../../infra/pipeline/wire-link.ts';
import { deriveRunKeys } from '../../../infra/sync/curve-keys.ts';
import type { TensorFrame } from '../../../lib/pipeline/link.ts';

const KEYS = deriveRunKeys('a secret of the installation', 'run 1');
const frame = (step: number): TensorFrame => ({
  kind: 'activation',
  step,
  microBatch: 3,
  shape: [2, 3],
  values: Float32Array.of(1.5, -2, 0, 1e-30, step, 7),
});

const open: (WireLink | LinkHost)[] = [];
afterEach(() => open.splice(0).forEach((each) => each.close()));

async function host(): Promise<LinkHost> {
  const door = await openLinkHost(KEYS);
  open.unshift(door);
  return door;
}

async function pair(door?: LinkHost): Promise<[WireLink, WireLink]> {
  const { url, link } = await (door ?? (await host())).listen('127.0.0.1', 'the next stage');
  const other = connectLink(KEYS, url, 'the previous stage');
  open.push(link, other);
  await Promise.all([link.connected, other.connected]);
  return [link, other];
}

describe('WireLink', () => {
  it('carries frames both ways, in order and to the bit, and counts their bytes', async () => {
    const [a, b] = await pair();
    for (let step = 0; step < 5; step++) await a.send(frame(step));
    for (let step = 0; step < 5; step++) expect(await b.receive()).toEqual(frame(step));
    await b.send(frame(9));
    expect(await a.receive()).toEqual(frame(9));
    expect(a.traffic).toMatchObject({ sentFrames: 5, sentBytes: 5 * (20 + 24), receivedBytes: 44 });
  });

  it('keeps out who knows another secret, and goes on', async () => {
    const { url, link } = await (await host()).listen('127.0.0.1', 'the next stage');
    const { server } = KEYS;
    const { client } = deriveRunKeys('another secret', 'run 1');
    const stranger = connectLink({ server, client }, url, 'the previous stage');
    open.push(link, stranger);
    await expect(stranger.connected).rejects.toMatchObject({ code: 'unavailable' });

    const friend = connectLink(KEYS, url, 'the previous stage');
    open.push(friend);
    await Promise.all([link.connected, friend.connected]);
    await friend.send(frame(1));
    expect(await link.receive()).toEqual(frame(1));
    const waiting = link.receive();
    friend.close();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('keeps links of one host apart', async () => {
    const door = await host();
    const [a, b] = await pair(door);
    const [c, d] = await pair(door);
    await a.send(frame(1));
    await c.send(frame(2));
    expect(await d.receive()).toEqual(frame(2));
    expect(await b.receive()).toEqual(frame(1));
    a.close();
    await expect(b.receive()).rejects.toMatchObject({ code: 'unavailable' });
    await d.send(frame(3));
    expect(await c.receive()).toEqual(frame(3));
  });

  it('tells whoever waits when the other end is gone', async () => {
    const [a, b] = await pair();
    const waiting = a.receive();
    b.close();
    await expect(waiting).rejects.toMatchObject({ code: 'unavailable' });
    await expect(a.send(frame(1))).rejects.toMatchObject({ code: 'unavailable' });
  });
});
