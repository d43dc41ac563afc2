import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { curveKeyPair, Dealer, Router } from 'zeromq';
import { deriveRunKeys } from '../../../infra/sync/curve-keys.ts';
import type { CurveKeyPair } from '../../../infra/sync/curve-keys.ts';
import { encodeZ85 } from '../../../infra/sync/z85.ts';

const SECRET = 'a secret of this installation';

/** What a server with the one pair says to a client with the other. */
async function exchange(server: CurveKeyPair, client: CurveKeyPair): Promise<string> {
  const router = new Router({ curveServer: true, curveSecretKey: server.secretKey, linger: 0 });
  await router.bind('tcp://127.0.0.1:*');
  const keys = { curveServerKey: server.publicKey, curvePublicKey: client.publicKey, curveSecretKey: client.secretKey };
  const dealer = new Dealer({ ...keys, linger: 0 });
  dealer.connect(router.lastEndpoint!);
  try {
    await dealer.send('good morning');
    const [from, text] = await router.receive();
    await router.send([from!, `${text!.toString()} to you`]);
    return (await dealer.receive())[0]!.toString();
  } finally {
    dealer.close();
    router.close();
  }
}

describe('the keys of a run', () => {
  it('connect, with each other and with pairs that ZeroMQ made itself', async () => {
    const { server, client } = deriveRunKeys(SECRET, 'train/shoes');
    expect(await exchange(server, client)).toBe('good morning to you');
    expect(await exchange(curveKeyPair(), client)).toBe('good morning to you');
    expect(await exchange(server, curveKeyPair())).toBe('good morning to you');
  });

  it('are the same wherever they are derived', () => {
    expect(deriveRunKeys(SECRET, 'train/shoes')).toEqual(deriveRunKeys(SECRET, 'train/shoes'));
  });

  it('differ by secret, by run and by role', () => {
    const all = [
      deriveRunKeys(SECRET, 'train/shoes'),
      deriveRunKeys(SECRET, 'train/bags'),
      deriveRunKeys(`${SECRET}!`, 'train/shoes'),
    ].flatMap(({ server, client }) => [server, client]);
    expect(new Set(all.map(({ publicKey }) => publicKey)).size).toBe(6);
    expect(new Set(all.map(({ secretKey }) => secretKey)).size).toBe(6);
  });
});

describe('Z85', () => {
  it('writes the example of its specification', () => {
    expect(encodeZ85(Buffer.from('864FD26FB559F75B', 'hex'))).toBe('HelloWorld');
  });

  it('keeps apart whatever bytes differ', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(bytes, bytes, (a, b) => {
        expect(encodeZ85(Buffer.from(a))).toHaveLength(40);
        expect(encodeZ85(Buffer.from(a)) === encodeZ85(Buffer.from(b))).toBe(Buffer.compare(a, b) === 0);
      }),
    );
  });
});
