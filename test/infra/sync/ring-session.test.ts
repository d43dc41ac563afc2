import { describe, expect, it } from 'vitest';
import { RingSession } from '../../../infra/sync/ring-session.ts';

const bytes = (value: number): Uint8Array => Uint8Array.of(value);
function sessionOf(delivered: number[][] = []): RingSession {
  const deliver = async (to: number, sequence: number): Promise<void> => void delivered.push([to, sequence]);
  return new RingSession({ rank: 0, size: 3, deliver });
}

describe('RingSession', () => {
  it('numbers what it sends to each neighbour', async () => {
    const delivered: number[][] = [];
    const session = sessionOf(delivered);
    for (const to of [1, 2, 1, 1, 2]) await session.send(to, bytes(to));
    expect(delivered).toEqual([
      [1, 0],
      [2, 0],
      [1, 1],
      [1, 2],
      [2, 1],
    ]);
  });

  it('hands out each message once, in order, whether it comes before or after it is asked for', async () => {
    const session = sessionOf();
    session.put(1, 0, bytes(10));
    session.put(1, 0, bytes(10));
    session.put(2, 0, bytes(20));
    expect([await session.receive(), await session.receive()]).toEqual([bytes(10), bytes(20)]);
    const later = session.receive();
    session.put(2, 0, bytes(20));
    session.put(1, 1, bytes(11));
    expect(await later).toEqual(bytes(11));
  });

  it('ends at a message that is missing, after those that have come', async () => {
    const session = sessionOf();
    session.put(1, 0, bytes(10));
    session.put(1, 2, bytes(12));
    expect(await session.receive()).toEqual(bytes(10));
    await expect(session.receive()).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('message 1 of rank 1, got 2') as string,
    });
  });

  it('still tells the others once it is lost, and nobody once it is closed', async () => {
    const delivered: number[][] = [];
    const session = sessionOf(delivered);
    session.put(1, 1, bytes(0));
    await session.send(2, bytes(0));
    expect(delivered).toEqual([[2, 0]]);
    session.close();
    await expect(session.send(2, bytes(0))).rejects.toMatchObject({ code: 'cancelled' });
  });
});
